import type { BackendName } from './device.ts'

/** A backend that could not be used: the reason, and what would help. */
export interface BackendAttempt {
  readonly backend: BackendName
  readonly reason: string
  readonly install: string
}

/** None of the backends tried could be used; `attempts` has each one's reason. */
export class BackendError extends Error {
  override readonly name = 'BackendError'
  readonly attempts: readonly BackendAttempt[]

  constructor(attempts: readonly BackendAttempt[]) {
    const lines = attempts.map(({ backend, reason, install }) => `  ${backend}: ${reason}\n    ${install}`)
    super(`no usable backend. Tried:\n${lines.join('\n')}`)
    this.attempts = attempts
  }
}

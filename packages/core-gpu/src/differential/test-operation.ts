import { appendFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { examine, type ExamineOptions, type Finding } from './examine.ts'
import { findings, type Word } from './findings.ts'
import type { Operation } from './operation.ts'

// A file that takes what is found, when the published table is made again.
const file = process.env['OPERATIONS_FOUND']

/** Whether the published table is being made. */
export const publishing: boolean = file !== undefined

/** Declares the test of one operation on the current backend: it must be right, and as published. */
export function testOperation(operation: Operation, backend: string, options?: ExamineOptions): void {
  it(`${operation.name} agrees with its definition, and its gradient with differences`, async () => {
    const { forward, gradient } = await examine(operation, options)
    expect(forward.status === 'wrong' ? forward.reason : '').toBe('')
    expect(gradient.status === 'wrong' ? gradient.reason : '').toBe('')
    if (publishing) {
      record(operation, backend, 'own', { forward, gradient })
      return
    }
    const published = findings[operation.name]?.backends[backend]
    expect(published, 'not in the table: pnpm run operations').toBeDefined()
    expect([forward.status, gradient.status], 'the table differs: pnpm run operations').toEqual([
      found(published!.forward),
      found(published!.gradient),
    ])
  })
}

/** What our kernels must give where the table says that. */
function found(word: Word): Finding['forward']['status'] {
  return word === 'corrected' || word === 'added' ? 'ok' : word
}

/** Hands a finding over to the script that makes the table. */
export function record(
  { name, kind }: Operation,
  backend: string,
  kernels: 'own' | 'stock',
  { forward, gradient }: Finding,
): void {
  const error = Math.max(forward.error, gradient.error)
  const reasons = { forward: forward.reason, gradient: gradient.reason }
  const line = { name, kind, backend, kernels, forward: forward.status, gradient: gradient.status, error, reasons }
  appendFileSync(file!, `${JSON.stringify(line)}\n`)
}

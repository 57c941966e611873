/** A step of the setup that cannot be done: what is missing, and how to get it. */
export class SetupError extends Error {
  override readonly name = 'SetupError'

  constructor(problem: string, remedy: string) {
    super(`${problem}\n  ${remedy}`)
  }
}

import { expect, it } from 'vitest'
import { examine } from './examine.ts'
import type { Operation } from './operation.ts'

/** Declares the test of one operation on the current backend. */
export function testOperation(operation: Operation): void {
  it(`${operation.name} agrees with its definition, and its gradient with differences`, async () => {
    const { forward, gradient } = await examine(operation)
    expect(forward.reason ?? '').toBe('')
    expect(['ok', 'none', 'refused'], gradient.reason).toContain(gradient.status)
  })
}

import { readFileSync } from 'node:fs'
import type { GoldenTensor, Tolerance } from '@x/core-gpu/testing'

/** One case computed by a PyTorch reference in double precision. */
export interface GoldenCase {
  readonly id: string
  readonly kind: string
  readonly config: Readonly<Record<string, unknown>>
  readonly inputs: Readonly<Record<string, GoldenTensor>>
  readonly expected: Readonly<Record<string, GoldenTensor>>
  readonly tolerance: Tolerance
}

/** For indices and counts, which must be equal. */
export const exact: Tolerance = { abs: 0, rel: 0 }

const file = new URL('./vq.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: GoldenCase[] }

/** The recorded cases of one kind; a kind without any is a mistake. */
export function goldenCases(kind: string): GoldenCase[] {
  const found = cases.filter((entry) => entry.kind === kind)
  if (found.length === 0) throw new RangeError(`kind: no golden case of kind "${kind}"`)
  return found
}

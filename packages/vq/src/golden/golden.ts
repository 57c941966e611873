import { readFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor, type GoldenTensor, goldenValues, type Tolerance } from '@x/core-gpu/testing'

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

/** Compares a function of a case's `z` and `E` with its `zq`, and the gradients for `g` there with `grad_z` and `grad_E`. */
export async function expectGoldenPull(c: GoldenCase, f: (z: tf.Tensor2D, E: tf.Tensor2D) => tf.Tensor): Promise<void> {
  const [z, E] = ['z', 'E'].map((name) => tf.variable(goldenTensor(c.inputs[name]!))) as [tf.Variable, tf.Variable]
  const g = goldenTensor(c.inputs['g']!)
  const { gradients, metrics } = valueAndGradients({ z, E }, () => {
    const value = f(z as unknown as tf.Tensor2D, E as unknown as tf.Tensor2D)
    return { loss: tf.sum(tf.mul(g, value)), metrics: { value } }
  })
  await expectGolden('zq', metrics['value']!, c.expected['zq']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('grad_E', gradients['E']!, c.expected['grad_E']!, c.tolerance)
}

/** The same numbers with their dimensions in another order, counted here: not every backend transposes four dimensions. */
export function permuted(golden: GoldenTensor, order: readonly number[]): { shape: number[]; values: number[] } {
  const values = goldenValues(golden)
  const strides = golden.shape.map((_, i) => golden.shape.slice(i + 1).reduce((a, b) => a * b, 1))
  const shape = order.map((axis) => golden.shape[axis]!)
  const places = shape.reduce<number[]>(
    (before, size, i) =>
      before.flatMap((place) => Array.from({ length: size }, (_, at) => place + at * strides[order[i]!]!)),
    [0],
  )
  return { shape, values: places.map((place) => values[place]!) }
}

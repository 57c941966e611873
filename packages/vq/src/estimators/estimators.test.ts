import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkGeneralSte, checkRotateTo, pull } from '../golden/estimators.ts'
import { goldenCases } from '../golden/golden.ts'
import { type PlainEstimator, straightThrough, straightThroughWith } from './estimator.ts'
import { rotationTrick } from './rotation.ts'

describe.each(['cpu', 'wasm'] as const)('estimators on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenCases('rotate-to'))('turns z onto q as the reference does: $id', checkRotateTo)

  it.each(goldenCases('general-ste'))('gives any matrix as the gradient: $id', checkGeneralSte)

  const cloud = fc.record({
    n: fc.integer({ min: 1, max: 9 }),
    d: fc.integer({ min: 2, max: 12 }),
    seed: fc.nat(),
  })

  it('rotation keeps the angle between vector and gradient, and scales its length by |q| / |z|', async () => {
    await fc.assert(
      fc.asyncProperty(cloud, async ({ n, d, seed }) => {
        const [z, q, g] = key(seed)
          .split(3)
          .map((k) => k.normal<tf.Rank.R2>([n, d])) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
        const [, gradient] = pull((x) => rotationTrick()(x, q), z, g)
        const [zs, qs, gs, ps] = await Promise.all([z, q, g, gradient].map((t) => t.array() as Promise<number[][]>))
        for (let i = 0; i < n; i++) {
          const lambda = norm(qs![i]!) / norm(zs![i]!)
          expect(norm(ps![i]!)).toBeCloseTo(lambda * norm(gs![i]!), 2)
          expect(cosineOf(zs![i]!, ps![i]!)).toBeCloseTo(cosineOf(qs![i]!, gs![i]!), 2)
        }
        tf.dispose([z, q, g, gradient])
      }),
      { numRuns: 25 },
    )
  })

  it('unscaled rotation keeps the length of the gradient', async () => {
    const [z, q, g] = key(5)
      .split(3)
      .map((k) => k.normal<tf.Rank.R2>([6, 4])) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
    const [, gradient] = pull((x) => rotationTrick({ scaled: false })(x, q), z, g)
    const [got, wanted] = await Promise.all([tf.norm(gradient, 2, 1).data(), tf.norm(g, 2, 1).data()])
    got.forEach((length, i) => expect(length).toBeCloseTo(wanted[i]!, 4))
  })

  it('rotation is the general estimator for G = lambda R', async () => {
    const [z, q, g] = key(6)
      .split(3)
      .map((k) => k.normal<tf.Rank.R2>([5, 3])) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
    const [zs, qs] = [await z.array(), await q.array()]
    const G = tf.tensor(zs.map((zi, i) => rotationMatrix(zi, qs[i]!)))
    const [, byMatrix] = pull((x) => straightThroughWith(() => G)(x, q), z, g)
    const [, byTrick] = pull((x) => rotationTrick()(x, q), z, g)
    const [a, b] = [await byMatrix.data(), await byTrick.data()]
    a.forEach((value, i) => expect(value).toBeCloseTo(b[i]!, 4))
  })

  it('straight-through is the general estimator for the identity', async () => {
    const [z, q, g] = key(7)
      .split(3)
      .map((k) => k.normal<tf.Rank.R2>([5, 3])) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
    const [, byMatrix] = pull((x) => straightThroughWith(() => tf.eye(3))(x, q), z, g)
    const [value, gradient] = pull((x) => straightThrough(x, q), z, g)
    expect(await gradient.data()).toEqual(await g.data())
    expect(await byMatrix.data()).toEqual(await g.data())
    expect(await value.data()).toEqual(await q.data())
  })

  it('gives the codes no gradient', () => {
    const [z, q] = key(8)
      .split(2)
      .map((k) => k.normal<tf.Rank.R2>([5, 3])) as [tf.Tensor2D, tf.Tensor2D]
    const estimators: PlainEstimator[] = [straightThrough, rotationTrick(), straightThroughWith(() => tf.eye(3))]
    for (const estimate of estimators)
      expect(() => tf.grad((codes: tf.Tensor) => tf.sum(estimate(z, codes as tf.Tensor2D)))(q)).toThrow(/gradient/i)
  })
})

const norm = (x: number[]): number => Math.hypot(...x)
const dot = (x: number[], y: number[]): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0)
const cosineOf = (x: number[], y: number[]): number => dot(x, y) / (norm(x) * norm(y))

/** lambda (I - (u+v)(u+v)^T / (1 + u.v) + 2 v u^T), the other form of the same rotation. */
function rotationMatrix(z: number[], q: number[]): number[][] {
  const [u, v] = [z.map((x) => x / norm(z)), q.map((x) => x / norm(q))]
  const lambda = norm(q) / norm(z)
  return z.map((_, i) =>
    z.map((_, j) => {
      const reflected = ((u[i]! + v[i]!) * (u[j]! + v[j]!)) / (1 + dot(u, v))
      return lambda * ((i === j ? 1 : 0) - reflected + 2 * v[i]! * u[j]!)
    }),
  )
}

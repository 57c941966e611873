import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { expectGolden, goldenTensor } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../golden/golden.ts'
import { type PlainEstimator, straightThrough, straightThroughWith } from './estimator.ts'
import { rotateTo, rotationTrick } from './rotation.ts'

/** `[value, gradient at z for the gradient g at the value]` */
function pull(f: (z: tf.Tensor2D) => tf.Tensor, z: tf.Tensor2D, g: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => tf.sum(tf.mul(f(x as tf.Tensor2D), g)))(z)
  value.dispose()
  return [f(z), grad]
}

const rows = (x: tf.Tensor): tf.Tensor2D => tf.reshape(x, [-1, x.shape.at(-1)!])

describe.each(['cpu', 'wasm'] as const)('estimators on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenCases('rotate-to'))('turns z onto q as the reference does: $id', async (c) => {
    const [z, q, g] = ['z', 'q', 'g'].map((name) => goldenTensor(c.inputs[name]!))
    const [out, gradient] = pull((x) => rotateTo(x, q!), z as tf.Tensor2D, g!)
    await expectGolden('out', out, c.expected['out']!, c.tolerance)
    await expectGolden('gradient', gradient, c.expected['vjp_z']!, c.tolerance)
    // The estimator has the same gradient, but gives the code itself.
    const [estimated, pulled] = pull((x) => rotationTrick()(x, rows(q!)), rows(z!), rows(g!))
    expect(await estimated.data()).toEqual(await q!.data())
    await expectGolden('estimator gradient', tf.reshape(pulled, gradient.shape), c.expected['vjp_z']!, c.tolerance)
  })

  it.each(goldenCases('general-ste'))('gives any matrix as the gradient: $id', async (c) => {
    const [z, q, G, g] = ['z', 'q', 'G', 'g'].map((name) => goldenTensor(c.inputs[name]!))
    const [out, gradient] = pull((x) => straightThroughWith(() => G!)(x, q as tf.Tensor2D), z as tf.Tensor2D, g!)
    await expectGolden('out', out, c.expected['out']!, c.tolerance)
    await expectGolden('gradient', gradient, c.expected['vjp_z']!, c.tolerance)
  })

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

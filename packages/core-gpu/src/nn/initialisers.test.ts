import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { key } from '../random/key.ts'
import {
  fanInUniform,
  type Initialiser,
  kaimingNormal,
  kaimingUniform,
  normal,
  ones,
  orthogonal,
  truncatedNormal,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from './initialisers.ts'

const fan = { in: 50, out: 150 }

async function draw(init: Initialiser, shape = [400, 100]): Promise<Float32Array> {
  const values = init(shape, fan, key(5))
  expect(values.shape).toEqual(shape)
  return values.data<'float32'>()
}

function deviation(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length)
}

describe('initialisers', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  // [initialiser, standard deviation, greatest value]
  const cases: [string, Initialiser, number, number][] = [
    ['uniform', uniform({ min: -0.3, max: 0.3 }), 0.3 / Math.sqrt(3), 0.3],
    ['normal', normal({ standardDeviation: 0.5 }), 0.5, Infinity],
    // Cut at two standard deviations, a normal distribution keeps 0.8796 of its deviation.
    ['truncatedNormal', truncatedNormal({ standardDeviation: 0.5 }), 0.8796 * 0.5, 1],
    ['kaimingUniform', kaimingUniform(), Math.sqrt(2 / 50), Math.sqrt(6 / 50)],
    ['kaimingNormal, out, leaky', kaimingNormal({ mode: 'out', slope: 0.5 }), Math.sqrt(2 / 1.25 / 150), Infinity],
    ['xavierUniform', xavierUniform({ gain: 2 }), 2 * Math.sqrt(2 / 200), 2 * Math.sqrt(6 / 200)],
    ['xavierNormal', xavierNormal(), Math.sqrt(2 / 200), Infinity],
    ['fanInUniform', fanInUniform(), 1 / Math.sqrt(150), 1 / Math.sqrt(50)],
    ['zeros', zeros(), 0, 0],
    ['ones', ones(), 1, 1],
  ]
  it.each(cases)('%s has its deviation and bound', async (_name, init, wanted, most) => {
    const values = await draw(init)
    // 40,000 draws: relative standard error of the deviation below 0.4%.
    expect(Math.abs(deviation(values) - wanted)).toBeLessThanOrEqual(0.02 * wanted)
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(most * (1 + 1e-6))
  })

  it.each([
    [[6, 4], 2],
    [[4, 6], 1],
    [[3, 2, 5], 1],
  ])('orthogonal %j has orthonormal rows or columns, times the gain', async (shape, gain) => {
    const values = await draw(orthogonal({ gain }), shape)
    const columns = shape.at(-1)!
    const matrix = tf.tensor2d(values, [values.length / columns, columns])
    const wide = matrix.shape[0] < columns
    const gram = await tf.matMul(matrix, matrix, !wide, wide).data()
    const size = Math.min(matrix.shape[0], columns)
    gram.forEach((v, i) => expect(v).toBeCloseTo(i % (size + 1) === 0 ? gain ** 2 : 0, 5))
  })

  it('orthogonal refuses vectors', () => {
    expect(() => orthogonal()([4], fan, key(1))).toThrow(/shape: orthogonal needs at least two dimensions, got \[4\]/)
  })
})

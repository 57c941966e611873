import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { BackendError } from '../backends/backend-error.ts'
import type { Device } from '../backends/device.ts'
import { useBackend } from '../backends/use-backend.ts'
import { adamwStep } from './adamw/adamw.ts'
import { type Convolution, convolutionGradients } from './conv2d/convolutions.ts'
import { lookup } from './lookup/lookup.ts'
import { nearestCode } from './nearest-code/nearest-code.ts'
import { segmentSum } from './segment-sum/segment-sum.ts'
import { expectClose, numbers } from './testing.ts'

let device: Device | undefined
let absence = ''
try {
  device = await useBackend('webgpu')
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  absence = ` (skipped: ${error.attempts[0]!.reason})`
}

describe.skipIf(!device)(`kernels on webgpu${absence}`, () => {
  beforeAll(() => useBackend('webgpu'))

  it('run on the adapter that the device names', () => {
    expect(device!.describe()).toMatchObject({ backend: 'webgpu', adapter: expect.stringMatching(/./) })
    expect(tf.getBackend()).toBe('webgpu')
  })

  it('find the nearest code, the first of equal ones, and mark NaN', async () => {
    const [n, k, d] = [37, 21, 5]
    // Small whole numbers: every distance is exact.
    const [x, codes] = [
      numbers(n * d, 1).map((v) => Math.round(v * 2)),
      numbers(k * d, 2).map((v) => Math.round(v * 2)),
    ]
    x[3 * d] = NaN
    const expected = Array.from({ length: n }, (_, i) => {
      const distances = Array.from({ length: k }, (_, j) =>
        Array.from({ length: d }, (_, p) => (x[i * d + p]! - codes[j * d + p]!) ** 2).reduce((a, b) => a + b),
      )
      const least = Math.min(...distances)
      return Number.isNaN(least) ? [-1, NaN] : [distances.indexOf(least), least]
    })
    const inputs = [tf.tensor2d(x, [n, d]), tf.tensor2d(codes, [k, d])] as const
    const before = tf.memory().numTensors
    const { indices, distances } = nearestCode(...inputs)
    expect(Array.from(await indices.data())).toEqual(expected.map(([index]) => index))
    expectClose(
      await distances.data(),
      expected.map(([, distance]) => distance!),
    )
    tf.dispose([indices, distances])
    expect(tf.memory().numTensors).toBe(before)
    tf.dispose([...inputs])
  })

  it('look codes up, with gradients that add up', async () => {
    const table = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2])
    const ids = tf.tensor1d([2, 0, 2, -1], 'int32')
    const rows = lookup(table, ids)
    expectClose(await rows.data(), [5, 6, 1, 2, 5, 6, NaN, NaN])
    const inside = tf.tensor2d([[2, 0], [2, 2]], [2, 2], 'int32') // prettier-ignore
    const gradient = tf.grad((t) => tf.sum(tf.square(lookup(t as tf.Tensor2D, inside))))(table)
    expectClose(await gradient.data(), [2, 4, 0, 0, 30, 36])
    tf.dispose([table, ids, rows, inside, gradient])
  })

  it('sum by segment', async () => {
    const values = tf.tensor2d(numbers(14, 3), [7, 2])
    const ids = tf.tensor1d([1, 0, 1, -1, 3, 0, 9], 'int32')
    const v = await values.data()
    const sum = (...rows: number[]): number[] => [0, 1].map((j) => rows.reduce((s, i) => s + v[i * 2 + j]!, 0))
    const sums = segmentSum(values, ids, 4)
    expectClose(await sums.data(), [sum(1, 5), sum(0, 2), sum(), sum(4)].flat())
    const gradient = tf.grad((x) => tf.sum(segmentSum(x as tf.Tensor2D, ids, 4)))(values)
    expectClose(await gradient.data(), [1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0])
    tf.dispose([values, ids, sums, gradient])
  })

  it('take AdamW steps', async () => {
    const zeros = (): tf.Variable => tf.variable(tf.zeros([6]))
    const [p, g] = [numbers(6, 1), numbers(6, 2)]
    const state = {
      parameter: tf.variable(tf.tensor1d(p)),
      gradient: tf.tensor1d(g),
      firstMoment: zeros(),
      secondMoment: zeros(),
    }
    adamwStep(state, { learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.5, step: 1 })
    // The first step moves by the learning rate against the sign of the gradient.
    expectClose(
      await state.parameter.data(),
      Array.from(p, (x, i) => x * 0.95 - 0.1 * Math.sign(g[i]!)),
      1e-4,
    )
    tf.dispose(state)
  })

  const convolution: Convolution = {
    batch: 2,
    height: 5,
    width: 6,
    inC: 3,
    outC: 4,
    kh: 3,
    kw: 2,
    stride: 1,
    dilation: 1,
    pad: 'same',
  }

  it.each([
    ['plain', convolution],
    ['strided', { ...convolution, stride: 2 }],
    ['dilated', { ...convolution, dilation: 2, pad: 'valid' as const }],
  ])('differentiate a %s convolution', async (_, c) => {
    const x = tf.tensor4d(numbers(c.batch * c.height * c.width * c.inC, 1), [c.batch, c.height, c.width, c.inC])
    const filter = tf.tensor4d(numbers(c.kh * c.kw * c.inC * c.outC, 2), [c.kh, c.kw, c.inC, c.outC])
    const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
      tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, c.stride, c.pad, 'NHWC', c.dilation)
    const y = convolve(x, filter)
    const dy = tf.tensor(numbers(y.size, 3), y.shape)
    const [dx, dFilter] = tf.grads(convolve)([x, filter], dy) as [tf.Tensor, tf.Tensor]
    const read = await Promise.all([x, filter, dy].map((t) => t.data()))
    const expected = convolutionGradients(c, read[0]!, read[1]!, read[2]!, y.shape)
    expectClose(await dx.data(), expected.dx, 1e-4)
    expectClose(await dFilter.data(), expected.dFilter, 1e-4)
    tf.dispose([x, filter, y, dy, dx, dFilter])
  })

  it('differentiate pooling over edges and nearest upsampling of batches', async () => {
    const x = tf.tensor4d(numbers(2 * 3 * 3), [2, 3, 3, 1])
    const pooled = tf.grad((t) => tf.sum(tf.avgPool(t as tf.Tensor4D, 2, 2, 'same')))(x)
    const image = [0.25, 0.25, 0.5, 0.25, 0.25, 0.5, 0.5, 0.5, 1]
    expectClose(await pooled.data(), [...image, ...image])
    const larger = tf.grad((t) => tf.sum(tf.image.resizeNearestNeighbor(t as tf.Tensor4D, [6, 6])))(x)
    expectClose(await larger.data(), Array.from<number>({ length: 18 }).fill(4))
    tf.dispose([x, pooled, larger])
  })
})

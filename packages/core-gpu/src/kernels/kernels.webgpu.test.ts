import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { BackendError } from '../backends/backend-error.ts'
import type { Device } from '../backends/device.ts'
import { useBackend } from '../backends/use-backend.ts'
import { adamwCases } from './adamw/webgpu.cases.ts'
import { type Convolution, convolutionGradients } from './conv2d/convolutions.ts'
import { lookupCases } from './lookup/webgpu.cases.ts'
import { nearestCodeCases } from './nearest-code/webgpu.cases.ts'
import { rotaryCases } from './rope/rope.cases.ts'
import { segmentSumCases } from './segment-sum/webgpu.cases.ts'
import { expectClose, numbers } from './testing.ts'
import { normCases } from './webgpu-norm.cases.ts'
import { programCases } from './webgpu-program.cases.ts'

let device: Device | undefined
let absence = ''
try {
  device = await useBackend('webgpu')
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  absence = ` (skipped: ${error.attempts[0]!.reason})`
}

describe.skipIf(!device)(`kernels on webgpu${device ? `, ${device.describe().adapter}` : absence}`, () => {
  beforeAll(() => useBackend('webgpu'))

  it('run on the adapter that the device names', () => {
    expect(device!.describe()).toMatchObject({ backend: 'webgpu', adapter: expect.stringMatching(/./) })
    expect(tf.getBackend()).toBe('webgpu')
  })

  describe('programs', programCases)
  describe('nearest code', nearestCodeCases)
  describe('lookup', lookupCases)
  describe('segment sum', segmentSumCases)
  describe('AdamW', adamwCases)
  describe('norms', normCases)
  describe('rotary', rotaryCases)

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

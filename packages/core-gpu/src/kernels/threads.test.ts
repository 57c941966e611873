import { createHash } from 'node:crypto'
import * as tf from '@tensorflow/tfjs-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { attendCached } from './attend/attend-cached.ts'
import { attend } from './attend/attend.ts'
import { gelu } from '../nn/activations.ts'
import { groupNorm } from './group-norm/group-norm.ts'
import { layerNorm } from './layer-norm/layer-norm.ts'
import { lookup } from './lookup/lookup.ts'
import { nearestCode } from './nearest-code/nearest-code.ts'
import { packFor } from './pack.ts'
import { segmentSum } from './segment-sum/segment-sum.ts'
import { softmax } from './softmax/softmax.ts'
import { numbers } from './testing.ts'

function tensor(shape: number[], seed: number): tf.Tensor {
  return tf.tensor(numbers(tf.util.sizeFromShape(shape), seed), shape)
}

/** Kernels that go row by row, and those whose gradients are sums over rows. */
function rowWise(): Record<string, tf.Tensor> {
  const [x, dy] = [tensor([3000, 130], 21), tensor([3000, 130], 22)]
  const [scale, offset] = [tensor([130], 23), tensor([130], 24)]
  const [image, taps] = [tensor([5, 40, 30, 24], 25), tensor([3, 3, 24, 1], 26)]
  const depthwise = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
    tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same')
  const layer = (a: tf.Tensor, s: tf.Tensor, o: tf.Tensor): tf.Tensor => layerNorm(a, { scale: s, offset: o })
  const group = (a: tf.Tensor, s: tf.Tensor, o: tf.Tensor): tf.Tensor => groupNorm(a, 4, { scale: s, offset: o })
  const [dLayer, dScale, dOffset] = tf.grads(layer)([x, scale, offset], dy) as [tf.Tensor, tf.Tensor, tf.Tensor]
  const parameters = [tensor([24], 27), tensor([24], 28)]
  const [dGroup, dGroupScale] = tf.grads(group)([image, ...parameters]) as [tf.Tensor, tf.Tensor]
  const [dImage, dTaps] = tf.grads(depthwise)([image, taps]) as [tf.Tensor, tf.Tensor]
  const ids = tf.tensor1d(
    Int32Array.from(numbers(3000, 29), (value) => (value + 1) * 40),
    'int32',
  )
  return {
    softmax: tf.grad(softmax)(x, dy),
    gelu: tf.grad(gelu)(x, dy),
    dLayer,
    dScale,
    dOffset,
    dGroup,
    dGroupScale,
    dImage,
    dTaps,
    columns: tf.sum(x, 0),
    rows: tf.mean(x, 1),
    all: tf.sum(x),
    spread: tf.grad((t) => tf.mean(t, 0))(x),
    segments: segmentSum(x as tf.Tensor2D, ids, 80),
    picked: lookup(x as tf.Tensor2D, ids),
  }
}

/** What several kernels give, large enough to be shared out; as fingerprints of the bits. */
function results(): Record<string, string> {
  const outputs = tf.tidy(() => {
    const x = tensor([6, 24, 20, 24], 1) as tf.Tensor4D
    const filter = tensor([3, 3, 24, 32], 2) as tf.Tensor4D
    const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same')
    const strided = (a: tf.Tensor): tf.Tensor => tf.conv2d(a as tf.Tensor4D, filter, 2, 'same')
    const [dx, dFilter] = tf.grads(convolve)([x, filter]) as [tf.Tensor, tf.Tensor]
    const codes = nearestCode(tensor([700, 33], 3) as tf.Tensor2D, tensor([901, 33], 4) as tf.Tensor2D)
    const [q, k, v] = [tensor([2, 4, 150, 24], 12), tensor([2, 2, 170, 24], 13), tensor([2, 2, 170, 40], 14)] as [
      tf.Tensor4D,
      tf.Tensor4D,
      tf.Tensor4D,
    ]
    const attention = (...x: tf.Tensor[]): tf.Tensor =>
      attend(x[0] as tf.Tensor4D, x[1] as tf.Tensor4D, x[2] as tf.Tensor4D, { causal: true, bias: x[3]! }).output
    const manyGroups = tf.tile(q, [4, 1, 1, 1]) as tf.Tensor4D
    const [dq, dk, dv, dBias] = tf.grads(attention)([q, k, v, tensor([4, 1, 170], 15)]) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ]
    const attended = {
      dManyGroups: tf.grad((x) => attend(x as tf.Tensor4D, x as tf.Tensor4D, manyGroups).output)(manyGroups),
      ...attend(q, k, v, { causal: true }),
      decoded: attendCached(
        tf.slice(q, [0, 0, 0, 0], [-1, -1, 2, -1]),
        tf.tile(k, [1, 1, 5, 1]),
        tf.tile(v, [1, 1, 5, 1]),
        800,
      ).output,
    }
    return {
      dq,
      dk,
      dv,
      dBias,
      ...attended,
      product: tf.matMul(tensor([300, 257], 5), tensor([257, 190], 6)),
      transposed: tf.matMul(tensor([257, 300], 5), tensor([190, 257], 6), true, true),
      batch: tf.matMul(tensor([30, 40, 64], 7), tensor([30, 64, 50], 8)),
      fewRows: tf.matMul(tensor([2, 900], 9), tensor([900, 1500], 10)),
      convolution: convolve(x, filter),
      strided: tf.grad(strided)(x),
      dx,
      dFilter,
      ...codes,
      ...rowWise(),
    }
  })
  const bits = (x: tf.Tensor): string => createHash('sha256').update(new Uint8Array(x.dataSync().buffer)).digest('hex')
  const values = Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, bits(value)]))
  tf.dispose(outputs)
  return values
}

describe('threads', () => {
  let one: Record<string, string>

  beforeAll(async () => {
    await useBackend('wasm', { threads: 1 })
    one = results()
  })
  afterAll(async () => {
    await useBackend('wasm', { threads: 1 })
  })

  it.each([2, 3, 5])('%i give the bits of one', async (threads) => {
    expect((await useBackend('wasm', { threads })).describe().threads).toBe(threads)
    for (let round = 0; round < 3; round++) expect(results()).toEqual(one)
  })

  it('work after the heap has grown', async () => {
    await useBackend('wasm', { threads: 2 })
    const before = (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length
    const large = tf.zeros([before / 4])
    expect(results()).toEqual(one)
    large.dispose()
  })

  it('can be more, fewer and one again, while tensors stay', async () => {
    await useBackend('wasm', { threads: 3 })
    const kept = tensor([64, 64], 11)
    const before = Array.from(tf.tidy(() => tf.matMul(kept, kept).dataSync()))
    for (const threads of [1, 2, 4, 1]) {
      expect((await useBackend('wasm', { threads })).describe().threads).toBe(threads)
      expect(Array.from(tf.tidy(() => tf.matMul(kept, kept).dataSync()))).toEqual(before)
    }
    kept.dispose()
  })

  it('report a kernel that fails on any of them', async () => {
    await useBackend('wasm', { threads: 2 })
    const pack = packFor(tf.backend(), 'simd')
    await pack.useThreads(2)
    const outside = 2 ** 32 - 64 // an address where the heap has nothing
    expect(() => pack.parallel('sumParts', 64, 1, 0, outside, outside, 64, 1)).toThrow()
    expect(results()).toEqual(one)
    pack.close()
  })

  it('leave the stock kernels with one', async () => {
    expect((await useBackend('wasm', { kernels: 'stock' })).describe().threads).toBe(1)
  })

  it('are refused below one', async () => {
    await expect(useBackend('wasm', { threads: 0 })).rejects.toThrow(/options\.threads: .*0/)
    await expect(useBackend('wasm', { threads: 1.5 })).rejects.toThrow(/options\.threads: .*1\.5/)
  })
})

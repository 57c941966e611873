import * as tf from '@tensorflow/tfjs-core'
import { countLeaks, expectSame } from '@x/core-gpu/testing'
import { Dropout, key, Linear, Sequential, useBackend, valueAndGradients } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { normalCodes } from '../codebooks/codebook.ts'
import { lengthMask } from '../masks.ts'
import { fsq } from '../methods/fsq/fsq.ts'
import { vqEma } from '../methods/vq-ema/vq-ema.ts'
import { vq } from '../methods/vq/vq.ts'
import { CodebookQuantizer } from '../quantizer.ts'
import { ChannelsFirst } from './channels-first.ts'
import { Projected } from './projected.ts'

const small = { dim: 3, codebookSize: 8, init: normalCodes }

describe.each(['cpu', 'wasm'] as const)('adapters on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('quantizes what has its channels first, and decodes it so', async () => {
    const [plain, first] = [vq(small), new ChannelsFirst(vq(small))]
    for (const shape of [[2, 4], [2, 4, 5], [2]]) {
      const [batch, ...rest] = shape
      const z = key(1).normal([batch!, 3, ...rest])
      const last = tf.transpose(z, [0, ...rest.map((_, i) => i + 2), 1])
      const mask = key(2).integers([batch!, ...rest], { high: 2 })
      const [a, b] = [plain.quantize(last, { training: true, mask }), first.quantize(z, { training: true, mask })]
      expect(b.quantized.shape).toEqual(z.shape)
      expect(await b.indices.data()).toEqual(await a.indices.data())
      expect(await b.loss.data()).toEqual(await a.loss.data())
      await expectSame('decoded', { x: first.decode(b.indices) }, { x: b.quantized })
      const back = tf.transpose(b.quantized, [0, ...rest.map((_, i) => i + 2), 1])
      await expectSame('quantized', { x: back }, { x: a.quantized })
    }
    await expectSame('codebook', { x: first.codebook() }, { x: plain.codebook() })
    expect(() => first.quantize(tf.zeros([2, 4, 3]))).toThrow(/^z/)
    expect(() => first.quantize(tf.zeros([3]))).toThrow(/^z/)
  })

  it('passes the gradient on through the change of order', async () => {
    const first = new ChannelsFirst(vq({ ...small, commitment: 0 }))
    const z = tf.variable(key(3).normal([2, 3, 4]))
    const g = key(4).normal([2, 3, 4])
    const { gradients } = valueAndGradients({ z }, () => ({
      loss: tf.sum(tf.mul(g, first.quantize(z, { training: true }).quantized)),
    }))
    expect(await gradients['z']!.data()).toEqual(await g.data())
  })

  it('projects in and out, and decoding includes the way out', async () => {
    const quantizer = new Projected(vq(small), 5, { key: key(5) })
    const z = key(6).normal([4, 2, 5])
    const { quantized, indices } = quantizer.quantize(z)
    expect(quantized.shape).toEqual([4, 2, 5])
    await expectSame('decoded', { x: quantizer.decode(indices) }, { x: quantized })
    expect(quantizer.codebook().shape).toEqual([8, 5])
    const { gradients } = valueAndGradients(quantizer.parameters(), () => {
      const out = quantizer.quantize(z, { training: true })
      return { loss: tf.add(out.loss, tf.sum(tf.square(out.quantized))) }
    })
    expect(Object.keys(gradients).sort()).toEqual(Object.keys(quantizer.parameters()).sort())
    expect(() => quantizer.quantize(tf.zeros([2, 3]))).toThrow(/^z/)
    expect(() => quantizer.decode(tf.tensor1d([8], 'int32'))).toThrow(/^indices/)
    expect(() => new Projected(vq(small), 0)).toThrow(/^dim/)
  })

  // A published implementation fails on masks with a projection, or measures before it.
  it('leaves masked vectors out between projections: zeros, -1, and no part in the loss', async () => {
    const quantizer = new Projected(vqEma({ ...small, metric: 'cosine' }), 5)
    const z = key(7).normal<tf.Rank.R2>([6, 5], { standardDeviation: 9 })
    const mask = tf.tensor1d([1, 1, 1, 1, 0, 0])
    const masked = quantizer.quantize(z, { mask })
    expect(Array.from((await masked.indices.data()).slice(4))).toEqual([-1, -1])
    expect((await masked.quantized.data()).slice(20).every((value) => value === 0)).toBe(true)
    await expectSame('decoded', { x: quantizer.decode(masked.indices) }, { x: masked.quantized })
    const fresh = (): Projected => new Projected(vqEma({ ...small, metric: 'cosine' }), 5)
    const [a, b] = [
      fresh().quantize(z, { training: true, mask }),
      fresh().quantize(tf.slice(z, 0, 4), { training: true }),
    ]
    expect((await a.loss.data())[0]).toBeCloseTo((await b.loss.data())[0]!, 5)
  })

  it('wraps quantizers of several codebooks, layers of one’s own, and other adapters', async () => {
    const inner = fsq({ levels: [5, 4], codebooks: 2 })
    const [a, b] = key(8).split(2)
    const quantizer = new ChannelsFirst(
      new Projected(inner, 6, {
        in: new Sequential(new Dropout(0.5), new Linear(6, 4, { key: a! })),
        out: new Linear(4, 6, { key: b! }),
      }),
    )
    const z = key(9).normal([2, 6, 3])
    const mask = tf.tensor2d([1, 1, 0, 1, 0, 1], [2, 3])
    const { quantized, indices } = quantizer.quantize(z, { mask })
    expect(indices.shape).toEqual([2, 3, 2])
    await expectSame('decoded', { x: quantizer.decode(indices) }, { x: quantized })
    const drawn = async (seed: number): Promise<Float32Array> =>
      quantizer.quantize(z, { training: true, key: key(seed) }).quantized.data<'float32'>()
    expect(await drawn(1)).toEqual(await drawn(1))
    expect(await drawn(1)).not.toEqual(await drawn(2))
    expect(Object.keys(quantizer.state())).toContain('quantizer.projectIn.1.weight')
  })

  it('leaves no tensor behind', async () => {
    const quantizer = new ChannelsFirst(new Projected(vq(small), 4))
    const z = key(10).normal([2, 4, 3])
    const leaks = await countLeaks(() => {
      const { quantized, indices, loss, terms } = quantizer.quantize(z, { training: true })
      tf.dispose([quantizer.decode(indices), quantizer.codebook(), quantized, indices, loss, terms])
    })
    expect(leaks).toBe(0)
  })

  it('makes masks of lengths', async () => {
    const mask = lengthMask([2, 0, 3], 3)
    expect(mask.dtype).toBe('bool')
    expect(Array.from(await mask.data())).toEqual([1, 1, 0, 0, 0, 0, 1, 1, 1])
    expect(await lengthMask(tf.tensor1d([2, 0, 3], 'int32'), 3).data()).toEqual(await mask.data())
    const z = key(11).normal([3, 3, 3])
    const { indices } = vq(small).quantize(z, { mask })
    expect(Array.from(await indices.data(), (index) => (index >= 0 ? 1 : 0))).toEqual([1, 1, 0, 0, 0, 0, 1, 1, 1])
    expect(() => lengthMask([1], 0)).toThrow(/^size/)
    expect(() => lengthMask(tf.zeros([2, 2]), 3)).toThrow(/^lengths/)
  })

  it('finds the nearest codes of a vector in order', async () => {
    const quantizer = vq(small) as CodebookQuantizer
    const z = key(12).normal([2, 5, 3])
    const { quantized, indices } = quantizer.nearestCodes(z, 3)
    expect(quantized.shape).toEqual([2, 5, 3, 3])
    expect(indices.shape).toEqual([2, 5, 3])
    await expectSame('codes', { x: quantizer.decode(indices) }, { x: quantized })
    const [vectors, codes, found] = [
      await z.data(),
      (await quantizer.codebook().array()) as number[][],
      await indices.data(),
    ]
    for (let i = 0; i < 10; i++) {
      const distance = (code: number[]): number => Math.hypot(...code.map((c, j) => c - vectors[3 * i + j]!))
      const order = codes.map((_, k) => k).toSorted((a, b) => distance(codes[a]!) - distance(codes[b]!))
      expect(Array.from(found.slice(3 * i, 3 * i + 3))).toEqual(order.slice(0, 3))
    }
    expect(() => quantizer.nearestCodes(z, 9)).toThrow(/^count/)
    expect(() => quantizer.nearestCodes(tf.zeros([2, 2]), 1)).toThrow(/^z/)
  })
})

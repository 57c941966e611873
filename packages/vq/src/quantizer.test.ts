import * as tf from '@tensorflow/tfjs-core'
import { key, type Key, useBackend } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { normalCodes } from './codebooks/codebook.ts'
import {
  bsq,
  cosineVq,
  diveq,
  fsq,
  groupedResidualVq,
  gumbel,
  ibq,
  ifsq,
  lfq,
  methods,
  multiHeadVq,
  nsvq,
  optvq,
  residualFsq,
  residualLfq,
  residualSimvq,
  residualVq,
  rotation,
  sfDiveq,
  simvq,
  vq,
  vqBridge,
  vqEma,
  vqStePlusPlus,
  wassersteinVq,
} from './index.ts'
import type { Quantizer } from './quantizer.ts'

const make: Record<string, (k: Key) => Quantizer> = {
  'vq/bsq': () => bsq({ bits: 5 }),
  'vq/cosine-vq': (k) => cosineVq({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/diveq': (k) => diveq({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/fsq': () => fsq({ levels: [5, 5, 4, 3] }),
  'vq/grouped-residual-vq': (k) =>
    groupedResidualVq({ dim: 4, groups: 2, layers: 2, codebookSize: 32, init: normalCodes, key: k }),
  'vq/gumbel': (k) => gumbel({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/ibq': (k) => ibq({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/ifsq': () => ifsq({ levels: [5, 5, 3] }),
  'vq/lfq': () => lfq({ bits: 5 }),
  'vq/multi-head-vq': (k) => multiHeadVq({ dim: 4, heads: 2, codebookSize: 32, init: normalCodes, key: k }),
  'vq/nsvq': (k) => nsvq({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/optvq': (k) => optvq({ dim: 4, codebookSize: 32, key: k }),
  'vq/residual-fsq': () => residualFsq({ levels: [5, 5, 3], layers: 2 }),
  'vq/residual-lfq': () => residualLfq({ bits: 5, layers: 2 }),
  'vq/residual-simvq': (k) => residualSimvq({ dim: 4, codebookSize: 32, layers: 2, key: k }),
  'vq/residual-vq': (k) => residualVq({ dim: 4, layers: 3, codebookSize: 32, init: normalCodes, key: k }),
  'vq/rotation': (k) => rotation({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/sf-diveq': (k) => sfDiveq({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/simvq': (k) => simvq({ dim: 4, codebookSize: 32, key: k }),
  'vq/vq': (k) => vq({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/vq-bridge': (k) => vqBridge({ dim: 4, codebookSize: 32, width: 8, patch: 2, key: k }),
  'vq/vq-ema': (k) => vqEma({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/vq-ste-plus-plus': (k) => vqStePlusPlus({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
  'vq/wasserstein-vq': (k) => wassersteinVq({ dim: 4, codebookSize: 32, init: normalCodes, key: k }),
}

it('every method is listed once, and tried here', () => {
  expect(methods.map((method) => method.id).sort()).toEqual(Object.keys(make).sort())
})

describe.each(['cpu', 'wasm'] as const)('quantizers on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  describe.each(Object.entries(make))('%s', (_, create) => {
    it('treats every vector alike, whatever stands beside it', async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 40 }), async (seed, n) => {
          const [makeKey, dataKey, orderKey] = key(seed).split(3) as [Key, Key, Key]
          const quantizer = create(makeKey)
          const { dim, codebooks } = quantizer
          const z = dataKey.normal<tf.Rank.R2>([n, dim])
          const order = orderKey.permutation(n)
          const shuffled = tf.gather(z, tf.tensor1d(order, 'int32'))
          const [a, b] = [quantizer.quantize(z), quantizer.quantize(shuffled)]
          const [first, second] = [await a.indices.data(), await b.indices.data()]
          const rows = Array.from(order, (i) => Array.from(first.slice(i * codebooks, (i + 1) * codebooks)))
          expect(Array.from(second)).toEqual(rows.flat())
          quantizer.dispose()
          tf.dispose([z, shuffled, a, b])
        }),
        { numRuns: 15 },
      )
    })

    it('gives codes back as they are', async () => {
      const quantizer = create(key(3))
      const { dim, codebooks } = quantizer
      // All codebooks' first code together, then their second ...; the sum or the row of what each holds.
      const all = tf.tidy(() => tf.tile(tf.expandDims(tf.range(0, 32, 1, 'int32'), 1), [1, codebooks]))
      const codes = tf.tidy(() => quantizer.decode(codebooks === 1 ? tf.squeeze(all, [1]) : all))
      const book = tf.tidy(() => {
        const own = quantizer.codebook()
        const width = own.shape.at(-1)!
        const each = own.rank === 3 ? own : tf.tile(tf.expandDims(own, 0), [codebooks, 1, 1])
        const parts = tf.reshape(each, [dim / width, (codebooks * width) / dim, each.shape[1]!, width])
        return tf.reshape(tf.transpose(tf.slice(tf.sum(parts, 1), [0, 0, 0], [-1, 32, -1]), [1, 0, 2]), [32, dim])
      })
      const [got, wanted] = [await codes.data(), await book.data()]
      wanted.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 6))
      all.dispose()
      tf.dispose([codes, book])
      quantizer.dispose()
    })

    it('takes no vectors at all', () => {
      const quantizer = create(key(4))
      const z = tf.zeros([0, quantizer.dim])
      const { quantized, indices, loss } = quantizer.quantize(z)
      expect(quantized.shape).toEqual(z.shape)
      expect(indices.size).toBe(0)
      tf.dispose([z, quantized, indices, loss])
      quantizer.dispose()
    })
  })

  it('holds far less than vectors times codes while it quantizes', () => {
    const quantizer = vq({ dim: 8, codebookSize: 4096, init: normalCodes })
    const z = key(5).normal([4096, 8])
    const bytes = peakBytes(() => tf.dispose(quantizer.quantize(z)))
    // 4096 x 4096 float32 would be 64 MiB.
    expect(bytes).toBeLessThan(16 * 2 ** 20)
    z.dispose()
    quantizer.dispose()
  })
})

/** The most that is allocated at once during a call, beyond what was before. */
function peakBytes(run: () => void): number {
  const before = tf.memory().numBytes
  let peak = before
  const engine = tf.engine()
  const original = engine.runKernel.bind(engine)
  engine.runKernel = ((...call: Parameters<typeof original>) => {
    const result = original(...call)
    peak = Math.max(peak, tf.memory().numBytes)
    return result
  }) as typeof engine.runKernel
  try {
    run()
  } finally {
    Reflect.deleteProperty(engine, 'runKernel')
  }
  return peak - before
}

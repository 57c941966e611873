import * as tf from '@tensorflow/tfjs-core'
import { attend, key, useBackend, valueAndGradients, variable } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { rope } from '../../positions/rope/rope.ts'
import { attentionConformance } from '../../testing/attention-conformance.ts'
import { attendBlocks } from './attend-blocks.ts'
import {
  allOf,
  anyOf,
  blockMask,
  type BlockMask,
  type BlockPattern,
  globalBlocks,
  randomBlocks,
  stridedBlocks,
  windowBlocks,
} from './block-mask.ts'
import { blockSparse } from './block-sparse.ts'

describe('patterns of blocks', () => {
  const drawn = (pattern: BlockPattern, size = 5): string[] =>
    Array.from({ length: size }, (_, query) => Array.from({ length: size }, (_, token) => (pattern(query, token) ? 'x' : '.')).join('')) // prettier-ignore

  it('show what they say', () => {
    expect(drawn(windowBlocks(2))).toEqual(['x....', 'xx...', '.xx..', '..xx.', '...xx'])
    expect(drawn(windowBlocks(1, 1), 3)).toEqual(['xx.', '.xx', '..x'])
    expect(drawn(globalBlocks(1), 3)).toEqual(['x..', 'x..', 'x..'])
    expect(drawn(globalBlocks(1, { both: true }), 3)).toEqual(['xxx', 'x..', 'x..'])
    expect(drawn(stridedBlocks(2))).toEqual(['x.x.x', '.x.x.', 'x.x.x', '.x.x.', 'x.x.x'])
    expect(drawn(anyOf(globalBlocks(1), windowBlocks(1)), 3)).toEqual(['x..', 'xx.', 'x.x'])
    expect(drawn(allOf(stridedBlocks(2), windowBlocks(3)), 4)).toEqual(['x...', '.x..', 'x.x.', '.x.x'])
  })

  it('draw the same blocks from a key, as many as asked for', () => {
    const [pattern, again] = [randomBlocks(2, key(3)), randomBlocks(2, key(3))]
    const rows = drawn(pattern, 8)
    expect(drawn(again, 8)).toEqual(rows)
    rows.forEach((row, query) => expect(row.replaceAll('.', '').length).toBe(Math.min(2, query + 1)))
    expect(drawn(randomBlocks(2, key(4)), 8)).not.toEqual(rows)
  })

  it('tell which share is computed', () => {
    expect(blockMask(() => true, { queries: 128, blockSize: 64, causal: false }).share).toBe(1)
    expect(blockMask(windowBlocks(1), { queries: 128, blockSize: 64 }).share).toBe(0.5)
    expect(blockMask(() => true, { queries: 1, keys: 100, blockSize: 64 }).rows).toEqual([
      { from: 0, until: 1, blocks: [0, 1] },
    ])
  })

  it('are refused by name where they are none', () => {
    expect(() => blockMask(3 as never, { queries: 4 })).toThrow(/^pattern/)
    expect(() => blockMask(() => true, { queries: 0 })).toThrow(/^queries/)
    expect(() => blockMask(() => true, { queries: 4, keys: 3 })).toThrow(/^keys/)
    expect(() => blockMask(() => true, { queries: 4, blockSize: 0 })).toThrow(/^blockSize/)
    expect(() => windowBlocks(0)).toThrow(/^count/)
    expect(() => stridedBlocks(0)).toThrow(/^stride/)
  })
})

/** The same as a mask of all pairs. */
function dense({ blockSize, queries, keys, causal }: BlockMask, pattern: BlockPattern): tf.Tensor2D {
  const values = Array.from({ length: queries * keys }, (_, at) => {
    const [query, token] = [keys - queries + Math.floor(at / keys), at % keys]
    const shown = pattern(Math.floor(query / blockSize), Math.floor(token / blockSize))
    return shown && (!causal || token <= query)
  })
  return tf.tensor2d(values, [queries, keys], 'bool')
}

describe.each(['cpu', 'wasm'] as const)('block-sparse attention on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('is masked attention, forward and backward, for any pattern', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        fc.array(fc.boolean(), { minLength: 200, maxLength: 200 }),
        async (queries, more, blockSize, causal, bits) => {
          const before = tf.memory().numTensors
          const pattern: BlockPattern = (query, token) => bits[14 * query + token]!
          const blocks = blockMask(pattern, { queries, keys: queries + more, blockSize, causal })
          const [qKey, kKey, vKey, oKey] = key(1).split(4)
          const parameters = {
            q: variable(qKey!.normal<tf.Rank.R4>([1, 4, queries, 3])),
            k: variable(kKey!.normal<tf.Rank.R4>([1, 2, queries + more, 3])),
            v: variable(vKey!.normal<tf.Rank.R4>([1, 2, queries + more, 2])),
          }
          const upstream = oKey!.normal([1, 4, queries, 2])
          const mask = dense(blocks, pattern)
          const run = (sparse: boolean) =>
            valueAndGradients(parameters, () => {
              const { q, k, v } = parameters as unknown as Record<string, tf.Tensor4D>
              const { output } = sparse ? attendBlocks(q!, k!, v!, blocks) : attend(q!, k!, v!, { mask })
              return { loss: tf.sum(tf.mul(output, upstream)) }
            })
          const [a, b] = [run(true), run(false)]
          expect((await a.loss.data())[0]).toBeCloseTo((await b.loss.data())[0]!, 4)
          for (const name of Object.keys(parameters)) {
            // Where nothing is seen at all, there is no gradient.
            const [left, right] = [await a.gradients[name]?.data(), await b.gradients[name]?.data()]
            right?.forEach((value, i) =>
              expect(Math.abs((left?.[i] ?? 0) - value)).toBeLessThan(1e-5 * (1 + Math.abs(value))),
            )
          }
          tf.dispose([parameters, upstream, mask, a.loss, a.gradients, b.loss, b.gradients])
          expect(tf.memory().numTensors).toBe(before)
        },
      ),
      { numRuns: 25 },
    )
  })

  it.each(
    attentionConformance(blockSparse, {
      options: (key) => ({
        dim: 8,
        heads: 4,
        groups: 2,
        positions: rope(),
        blockSize: 2,
        pattern: anyOf(globalBlocks(1), windowBlocks(2)),
        key,
      }),
      badOptions: { dim: [0], heads: [0], groups: [3], blockSize: [0], pattern: [1], headDim: [0.5], key: [1] },
      elementsPerToken: 2 * 2 * 2,
    }),
  )('$name', ({ run }) => run())
})

import * as tf from '@tensorflow/tfjs-core'
import { defineMethod, integer, type Key, Linear, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../../attention.ts'
import type { Streams, Tokens } from '../../caches/cache.ts'
import { commonEntries, type CommonOptions, headWidth } from '../../options.ts'
import { none } from '../../positions/none/none.ts'
import { splitHeads } from '../../projections/heads.ts'
import { SparseAttention, type SparseCall, type Turn } from '../sparse-attention.ts'
import { attendBlocks } from './attend-blocks.ts'
import { anyOf, blockMask, type BlockPattern, globalBlocks, windowBlocks } from './block-mask.ts'

export interface BlockSparseOptions extends Pick<CommonOptions, 'dim' | 'heads' | 'positions' | 'key'> {
  /** g, heads of keys and values; divides `heads`; default `heads` */
  readonly groups?: number
  /** d, width of a head; default `dim / heads` */
  readonly headDim?: number
  /** tokens of a block; default 64 */
  readonly blockSize?: number
  /** which blocks see which, of those that are not later; default: the first one and the last four */
  readonly pattern?: BlockPattern
}

type Checked = BlockSparseOptions & Required<Pick<BlockSparseOptions, 'key' | 'blockSize' | 'pattern'>>

class BlockSparseAttention extends SparseAttention {
  readonly q: Linear
  readonly k: Linear
  readonly v: Linear
  readonly streams: Streams
  readonly #options: Checked

  constructor(options: Checked) {
    const { dim, heads, groups = heads, key } = options
    const width = headWidth(options, options.headDim)
    const positions = options.positions ?? none()
    const [outKey, qKey, kKey, vKey] = key.split(4) as [Key, Key, Key, Key]
    if (heads % groups !== 0) throw new RangeError(`groups: expected a divisor of ${heads} heads, got ${groups}`)
    positions.fit?.(width)
    super(dim, heads, width, positions, outKey)
    this.q = new Linear(dim, heads * width, { key: qKey, bias: false })
    this.k = new Linear(dim, groups * width, { key: kKey, bias: false })
    this.v = new Linear(dim, groups * width, { key: vKey, bias: false })
    this.streams = { k: [groups, width], v: [groups, width] }
    this.#options = options
  }

  protected tokens(x: tf.Tensor3D, turn: Turn): Tokens {
    const [groups] = this.streams['k']!
    return { k: turn(splitHeads(this.k.forward(x), groups)), v: splitHeads(this.v.forward(x), groups) }
  }

  protected attend(x: tf.Tensor3D, { k, v }: Tokens, { lengths, mask, bias }: SparseCall, turn: Turn): tf.Tensor4D {
    const q = turn(splitHeads(this.q.forward(x), this.heads))
    const queries = q.shape[2]
    const { blockSize, pattern } = this.#options
    const given = mask && (tf.notEqual(mask, 0) as tf.Tensor4D)
    // Sequences of different lengths have their blocks in different places.
    const alike = lengths.every((length) => length === lengths[0])
    const parts = (alike ? [lengths[0]!] : lengths).map((keys, sequence) => {
      const own = <T extends tf.Tensor4D | undefined>(z: T): T => (alike || !z || z.shape[0] === 1 ? z : tf.slice(z, [sequence, 0, 0, 0], [1, -1, -1, -1]) as T) // prettier-ignore
      const first = (z: tf.Tensor4D, axis: 2 | 3): tf.Tensor4D => z.shape[axis] === keys ? z : tf.slice(z, [0, 0, 0, 0], axis === 2 ? [-1, -1, keys, -1] : [-1, -1, -1, keys]) // prettier-ignore
      const visible = blockMask(pattern, { queries, keys, blockSize })
      const [ownMask, ownBias] = [own(given), own(bias)].map((z) => z && first(z, 3))
      return attendBlocks(own(q), first(own(k!), 2), first(own(v!), 2), visible, { mask: ownMask, bias: ownBias })
        .output
    })
    return parts.length === 1 ? parts[0]! : tf.concat(parts, 0)
  }
}

/**
 * Attention to some blocks of tokens, by a pattern that is known beforehand; the others are not computed. arXiv 1904.10509,
 * 2007.14062
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const blockSparse: Method<BlockSparseOptions, Attention> = /* @__PURE__ */ defineMethod({
  id: 'attention/block-sparse',
  title: 'Block-sparse',
  summary:
    'Blocks of tokens by a fixed pattern: windows, first blocks, strides, random ones; the rest is not computed.',
  paper: { title: 'Generating Long Sequences with Sparse Transformers', arxiv: '1904.10509', year: 2019 },
  options: v.object({
    dim: commonEntries.dim,
    heads: commonEntries.heads,
    positions: commonEntries.positions,
    key: commonEntries.key,
    groups: v.optional(integer(1)),
    headDim: v.optional(integer(1)),
    blockSize: v.optional(integer(1), 64),
    pattern: v.optional(
      v.custom<BlockPattern>((value) => typeof value === 'function', 'a function'),
      () => anyOf(globalBlocks(1), windowBlocks(4)),
    ),
  }),
  create: (options) => new BlockSparseAttention(options),
})

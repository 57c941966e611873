import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  defineMethod,
  gelu,
  integer,
  type Key,
  Linear,
  type Method,
  softmax,
  stopGradient,
  variable,
} from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../../attention.ts'
import type { Streams, Tokens } from '../../caches/cache.ts'
import { commonEntries, type CommonOptions, headWidth } from '../../options.ts'
import { none } from '../../positions/none/none.ts'
import { splitHeads } from '../../projections/heads.ts'
import { highest } from '../highest.ts'
import {
  attendVisible,
  overRows,
  rowsOf,
  type Rows,
  SparseAttention,
  type SparseCall,
  tokenPositions,
  type Turn,
} from '../sparse-attention.ts'

export interface NsaOptions extends Pick<CommonOptions, 'dim' | 'heads' | 'positions' | 'key'> {
  /** g, heads of keys and values; divides `heads`; default `heads` */
  readonly groups?: number
  /** d, width of a head; default `dim / heads` */
  readonly headDim?: number
  /** tokens that are compressed to one; default 32 */
  readonly compressSize?: number
  /** tokens from the beginning of one such block to that of the next; divides `compressSize` and `selectSize`; default 16 */
  readonly compressStride?: number
  /** tokens of a block that is selected whole; a multiple of `compressStride`; default 64 */
  readonly selectSize?: number
  /** blocks that are selected for a query, the first and its own two among them; at least 3; default 16 */
  readonly selected?: number
  /** how many of the last tokens the third branch sees; default 512 */
  readonly window?: number
}

type Checked = NsaOptions &
  Required<Pick<NsaOptions, 'key' | 'compressSize' | 'compressStride' | 'selectSize' | 'selected' | 'window'>>

/** Blocks of tokens, each made one by a small network that knows the places within a block. */
class Compression extends BaseModule {
  /** [block, d] */
  readonly places: tf.Variable
  readonly first: Linear
  readonly second: Linear
  readonly #size: number
  readonly #stride: number

  constructor(size: number, stride: number, width: number, key: Key) {
    super()
    const [placesKey, firstKey, secondKey] = key.split(3) as [Key, Key, Key]
    this.places = variable(tf.tidy(() => tf.mul(placesKey.normal([size, width]), 0.02)))
    this.first = new Linear(size * width, width, { key: firstKey })
    this.second = new Linear(width, width, { key: secondKey })
    this.#size = size
    this.#stride = stride
  }

  /** @param x [B, g, S, d], at least a block of them @returns [B, g, blocks, d] */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    const [batch, groups, length, width] = x.shape
    const [size, stride] = [this.#size, this.#stride]
    const count = blocksIn(length, size, stride)
    // A block is some strides of tokens: strides first, then as many side by side as a block has.
    const strides = tf.reshape(tf.slice(x, [0, 0, 0, 0], [-1, -1, (count - 1 + size / stride) * stride, -1]), [
      batch,
      groups,
      -1,
      stride * width,
    ])
    const parts = Array.from({ length: size / stride }, (_, i) => tf.slice(strides, [0, 0, i, 0], [-1, -1, count, -1]))
    const blocks = parts.length === 1 ? parts[0]! : tf.concat(parts, 3) // [B, g, blocks, block d]
    const placed = tf.add(blocks, tf.reshape(this.places, [1, 1, 1, size * width]))
    return this.second.forward(gelu(this.first.forward(placed))) as tf.Tensor4D
  }
}

/** The least of each block of tokens, [B or 1, h or 1, L or 1, S] to [..., blocks]. */
function leastOf(x: tf.Tensor4D, blocks: number, size: number, stride: number): tf.Tensor4D {
  const [batch, heads, queries] = x.shape
  if (blocks === 0) return tf.zeros([batch, heads, queries, 0])
  const count = blocks - 1 + size / stride
  const first = tf.slice(x, [0, 0, 0, 0], [-1, -1, -1, count * stride])
  const strides = tf.reshape(tf.min(tf.reshape(first, [-1, stride]), 1), [batch, heads, queries, count])
  const parts = Array.from({ length: size / stride }, (_, i) => tf.slice(strides, [0, 0, 0, i], [-1, -1, -1, blocks]))
  return parts.reduce<tf.Tensor>((least, part) => tf.minimum(least, part), parts[0]!) as tf.Tensor4D
}

function blocksIn(length: number, size: number, stride: number): number {
  return length < size ? 0 : Math.floor((length - size) / stride) + 1
}

const branches = ['compress', 'select', 'window'] as const

class NativeSparseAttention extends SparseAttention {
  readonly q: Linear
  /** keys of the three branches, and their values */
  readonly k: Linear
  readonly v: Linear
  readonly gate: Linear
  readonly compressKeys: Compression
  readonly compressValues: Compression
  readonly #options: Checked
  readonly #width: number
  readonly #groups: number

  constructor(options: Checked) {
    const { dim, heads, groups = heads, compressSize: size, compressStride: stride, selectSize, key } = options
    const width = headWidth(options, options.headDim)
    const positions = options.positions ?? none()
    const keys = key.split(7) as [Key, Key, Key, Key, Key, Key, Key]
    if (heads % groups !== 0) throw new RangeError(`groups: expected a divisor of ${heads} heads, got ${groups}`)
    for (const [name, of] of [['compressSize', size], ['selectSize', selectSize]] as const)
      if (of % stride !== 0) throw new RangeError(`compressStride: expected a divisor of ${name} ${of}, got ${stride}`) // prettier-ignore
    positions.fit?.(width)
    super(dim, heads, width, positions, keys[0])
    this.q = new Linear(dim, heads * width, { key: keys[1], bias: false })
    this.k = new Linear(dim, 3 * groups * width, { key: keys[2], bias: false })
    this.v = new Linear(dim, 3 * groups * width, { key: keys[3], bias: false })
    this.gate = new Linear(dim, 3 * heads, { key: keys[4] })
    this.compressKeys = new Compression(size, stride, width, keys[5])
    this.compressValues = new Compression(size, stride, width, keys[6])
    this.#options = options
    this.#width = width
    this.#groups = groups
  }

  get streams(): Streams {
    const each = [this.#groups, this.#width] as const
    return Object.fromEntries(branches.flatMap((branch) => [[`${branch}Keys`, each], [`${branch}Values`, each]])) // prettier-ignore
  }

  protected tokens(x: tf.Tensor3D, turn: Turn): Tokens {
    const [k, v] = [this.k, this.v].map((layer) => tf.split(layer.forward(x), 3, 2).map((part) => splitHeads(part, this.#groups))) as [tf.Tensor4D[], tf.Tensor4D[]] // prettier-ignore
    return Object.fromEntries(
      branches.flatMap((branch, i) => [
        // Within a block its own places count; which block it is must follow from what it says.
        [`${branch}Keys`, branch === 'compress' ? k[i]! : turn(k[i]!)],
        [`${branch}Values`, v[i]!],
      ]),
    ) as Tokens
  }

  protected attend(x: tf.Tensor3D, tokens: Tokens, call: SparseCall, turn: Turn): tf.Tensor4D {
    const { compressSize: size, compressStride: stride, window } = this.#options
    const still = splitHeads(this.q.forward(x), this.heads) // [B, h, L, d]
    const turned = turn(still)
    const gates = tf.split(tf.sigmoid(this.gate.forward(x)), 3, 2).map((gate) => splitHeads(gate, this.heads)) as [
      tf.Tensor4D,
      tf.Tensor4D,
      tf.Tensor4D,
    ] // [B, h, L, 1]
    const keys = tokens['windowKeys']!.shape[2]
    const scale = this.#width ** -0.5
    const blocks = blocksIn(keys, size, stride)
    const compressed = blocks > 0 && {
      k: this.compressKeys.forward(tokens['compressKeys']!),
      v: this.compressValues.forward(tokens['compressValues']!),
      // The last position of each.
      ends: tf.reshape(tf.add(tf.mul(tf.range(0, blocks), stride), size - 1), [1, 1, 1, blocks]),
    }
    const unmasked = { lengths: call.lengths }
    const { mask, bias } = call
    // A block is seen by who sees all of it.
    const least = (x: tf.Tensor4D): tf.Tensor4D => leastOf(x, blocks, size, stride)
    const open = [
      ...(mask ? [tf.greater(least(mask), 0.5)] : []),
      ...(bias ? [tf.greater(least(bias), -Infinity)] : []),
    ]
    return overRows(still, keys, call, (rows) => {
      const distance = tf.sub(rows.query, tokenPositions(keys))
      const causal = tf.greaterEqual(distance, 0)
      const seen = (branch: 'select' | 'window', visible: tf.Tensor): tf.Tensor4D =>
        attendVisible(turned, tokens[`${branch}Keys`]!, tokens[`${branch}Values`]!, visible, rows, call, scale)
      const near = seen('window', tf.logicalAnd(causal, tf.less(distance, window)))
      const whole =
        compressed &&
        open.reduce<tf.Tensor>(
          (seen, each) => tf.logicalAnd(seen, rowsOf(each as tf.Tensor4D, rows)),
          tf.lessEqual(compressed.ends, rows.query),
        )
      const coarse =
        compressed && whole && attendVisible(still, compressed.k, compressed.v, whole, rows, unmasked, scale)
      const weights = compressed && whole && this.#weights(rowsOf(still, rows), compressed.k, whole, scale)
      const chosen = seen('select', tf.logicalAnd(causal, this.#selected(weights || undefined, rows, keys)))
      const [g0, g1, g2] = gates.map((gate) => rowsOf(gate, rows)) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D]
      const sum = tf.add(tf.mul(g1, chosen), tf.mul(g2, near))
      return (coarse ? tf.add(sum, tf.mul(g0, coarse)) : sum) as tf.Tensor4D
    })
  }

  /** How much a group's queries attend to each compressed block, summed over its heads: [B, g, rows, blocks]; no gradient. */
  #weights(q: tf.Tensor4D, k: tf.Tensor4D, visible: tf.Tensor, scale: number): tf.Tensor4D {
    const [batch, heads, count, width] = q.shape
    const [groups, blocks] = [k.shape[1], k.shape[2]]
    const grouped = tf.reshape(stopGradient(q), [batch, groups, (heads / groups) * count, width])
    const products = tf.matMul(grouped, stopGradient(k), false, true)
    const scores = tf.reshape(tf.mul(products, scale), [batch, groups, heads / groups, count, blocks])
    const shown = // [B or 1, g or 1, h / g or 1, rows, blocks]
      visible.shape[1] === 1
        ? tf.expandDims(visible, 1)
        : tf.reshape(visible, [visible.shape[0]!, groups, heads / groups, count, blocks])
    const weights = softmax(tf.where(shown, scores, -3e38))
    return tf.sum(tf.where(shown, weights, 0), 2) as tf.Tensor4D
  }

  /** Which tokens lie in selected blocks, bool, [B, h, rows, S]. */
  #selected(weights: tf.Tensor4D | undefined, { query, count }: Rows, keys: number): tf.Tensor4D {
    const { selectSize, selected } = this.#options
    const blocks = Math.ceil(keys / selectSize)
    const place = tf.reshape(tf.range(0, blocks), [1, 1, 1, blocks])
    const own = tf.floor(tf.div(query, selectSize)) // [B or 1, 1, rows, 1]
    const away = tf.sub(own, place)
    // The first block, the query's own and the one before it come always.
    const always = tf.logicalOr(tf.equal(place, 0), tf.logicalAnd(tf.greaterEqual(away, 0), tf.lessEqual(away, 1)))
    const batch = weights?.shape[0] ?? query.shape[0]
    const groups = this.#groups
    const scores = weights
      ? tf.reshape(
          tf.matMul(tf.reshape(weights, [-1, weights.shape[3]]), sharesOf(weights.shape[3], blocks, this.#options)),
          [batch, groups, count, blocks],
        )
      : tf.zeros([batch, groups, count, blocks])
    const offered = tf.where(always, 1e30, tf.where(tf.less(away, 0), -3e38, scores)) as tf.Tensor4D
    const chosen = tf.logicalAnd(highest(offered, selected), tf.greaterEqual(away, 0)) // [B, g, rows, blocks]
    // Each block as its tokens, each group as its heads.
    const tokens = tf.tile(tf.reshape(tf.cast(chosen, 'float32'), [-1, 1]), [1, selectSize])
    const perHead = tf.tile(tf.reshape(tokens, [batch * groups, 1, -1]), [1, this.heads / groups, 1])
    const all = tf.reshape(perHead, [batch, this.heads, count, blocks * selectSize])
    return tf.greater(tf.slice(all, [0, 0, 0, 0], [-1, -1, -1, keys]), 0.5) as tf.Tensor4D
  }
}

/**
 * How often a compressed block counts for a selected one, [compressed, selected]: as often as strides of both coincide.
 * arXiv 2502.11089, equation 9
 */
function sharesOf(
  compressed: number,
  blocks: number,
  { selectSize, compressSize, compressStride }: Pick<Checked, 'selectSize' | 'compressSize' | 'compressStride'>,
): tf.Tensor2D {
  const [perSelect, perCompress] = [selectSize / compressStride, compressSize / compressStride]
  const shares = new Float32Array(compressed * blocks)
  for (let j = 0; j < blocks; j++)
    for (let m = 0; m < perSelect; m++)
      for (let n = 0; n < perCompress; n++) {
        const i = perSelect * j + m - n
        if (i >= 0 && i < compressed) shares[i * blocks + j]!++
      }
  return tf.tensor2d(shares, [compressed, blocks])
}

/**
 * Native sparse attention: what a query sees of the past is the sum, by learned gates, of compressed blocks, of the tokens of
 * the blocks that matter most, and of a window. arXiv 2502.11089
 *
 * Each branch has keys and values of its own. Which blocks are selected follows from the compressed ones' weights, summed over
 * the heads of a group; no gradient flows through that choice. Positions turn the keys of the two branches of tokens. Under a
 * mask a compressed block is seen by who sees all of it; a finite bias counts for tokens alone.
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const nsa: Method<NsaOptions, Attention> = /* @__PURE__ */ defineMethod({
  id: 'attention/nsa',
  title: 'NSA',
  summary: 'Compressed blocks, selected blocks and a window, summed by learned gates.',
  paper: {
    title: 'Native Sparse Attention: Hardware-Aligned and Natively Trainable Sparse Attention',
    arxiv: '2502.11089',
    year: 2025,
  },
  options: v.object({
    dim: commonEntries.dim,
    heads: commonEntries.heads,
    positions: commonEntries.positions,
    key: commonEntries.key,
    groups: v.optional(integer(1)),
    headDim: v.optional(integer(1)),
    compressSize: v.optional(integer(1), 32),
    compressStride: v.optional(integer(1), 16),
    selectSize: v.optional(integer(1), 64),
    selected: v.optional(integer(3), 16),
    window: v.optional(integer(1), 512),
  }),
  create: (options) => new NativeSparseAttention(options),
})

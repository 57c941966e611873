import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, Linear } from '@x/core-gpu'
import type { Streams } from '../../caches/cache.ts'
import { splitHeads } from '../heads.ts'
import type { Projection, ProjectionContext, View, ViewSizes } from '../projection.ts'

export interface TensorProductProjectionOptions {
  /** D */
  readonly dim: number
  readonly heads: number
  readonly headDim: number
  /** terms of queries, keys and values */
  readonly ranks: readonly [query: number, key: number, value: number]
  readonly key: Key
}

/** Two factors of each term: over the heads, and over a head's dimensions. */
interface Factors {
  /** [B, R, L, h] */
  readonly overHeads: tf.Tensor4D
  /** [B, R, L, d] */
  readonly within: tf.Tensor4D
}

/**
 * Queries, keys and values that are means of outer products, 1/R sum_r a_r b_r^T with a_r over the heads and b_r over a
 * head's dimensions, both made from the token; the factors of keys and values are remembered. arXiv 2501.06425
 */
export class TensorProductProjection extends BaseModule implements Projection {
  readonly qHeads: Linear
  readonly q: Linear
  readonly kHeads: Linear
  readonly k: Linear
  readonly vHeads: Linear
  readonly v: Linear
  readonly dim: number
  readonly heads: number
  readonly keyWidth: number
  readonly ranks: readonly [query: number, key: number, value: number]
  readonly canTurnValues = true as const
  readonly takesFirstValues = false as const
  readonly streams: Streams

  constructor({ dim, heads, headDim, ranks, key }: TensorProductProjectionOptions) {
    super()
    const keys = key.split(6)
    const linear = (width: number, at: number): Linear => new Linear(dim, width, { key: keys[at]!, bias: false })
    const [forQueries, forKeys, forValues] = ranks
    this.qHeads = linear(forQueries * heads, 0)
    this.q = linear(forQueries * headDim, 1)
    this.kHeads = linear(forKeys * heads, 2)
    this.k = linear(forKeys * headDim, 3)
    this.vHeads = linear(forValues * heads, 4)
    this.v = linear(forValues * headDim, 5)
    this.dim = dim
    this.heads = heads
    this.keyWidth = headDim
    this.ranks = ranks
    this.streams = {
      keyHeads: [forKeys, heads],
      keys: [forKeys, headDim],
      valueHeads: [forValues, heads],
      values: [forValues, headDim],
    }
  }

  get valueWidth(): number {
    return this.keyWidth
  }

  get turnedWidth(): number {
    return this.keyWidth
  }

  queries(x: tf.Tensor3D, { turn }: ProjectionContext): tf.Tensor4D {
    const rank = this.ranks[0]
    const within = turn(splitHeads(this.q.forward(x), rank))
    return meanOfProducts({ overHeads: splitHeads(this.qHeads.forward(x), rank), within })
  }

  tokens(x: tf.Tensor3D, { turn, turnsValues }: ProjectionContext): Record<string, tf.Tensor4D> {
    const [, forKeys, forValues] = this.ranks
    const values = splitHeads(this.v.forward(x), forValues)
    return {
      keyHeads: splitHeads(this.kHeads.forward(x), forKeys),
      keys: turn(splitHeads(this.k.forward(x), forKeys)),
      valueHeads: splitHeads(this.vHeads.forward(x), forValues),
      values: turnsValues ? turn(values) : values,
    }
  }

  /** Multiplies the factors out: of a cache, those of the tokens that are stored. */
  view(q: tf.Tensor4D, tokens: Readonly<Record<string, tf.Tensor4D>>, { keys }: ViewSizes): View {
    const first = (x: tf.Tensor4D): tf.Tensor4D =>
      x.shape[2] === keys ? x : tf.slice(x, [0, 0, 0, 0], [-1, -1, keys, -1])
    return {
      q,
      k: meanOfProducts({ overHeads: first(tokens['keyHeads']!), within: first(tokens['keys']!) }),
      v: meanOfProducts({ overHeads: first(tokens['valueHeads']!), within: first(tokens['values']!) }),
    }
  }
}

/** @returns [B, h, L, d] */
function meanOfProducts({ overHeads, within }: Factors): tf.Tensor4D {
  const [batch, rank, length, heads] = overHeads.shape
  const width = within.shape[3]
  const perToken = (x: tf.Tensor4D): tf.Tensor3D =>
    tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch * length, rank, x.shape[3]])
  const sums = tf.matMul(perToken(overHeads), perToken(within), true, false) // [B L, h, d]
  const means = tf.reshape(tf.mul(sums, 1 / rank), [batch, length, heads, width])
  return tf.transpose(means, [0, 2, 1, 3]) as tf.Tensor4D
}

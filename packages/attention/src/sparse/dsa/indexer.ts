import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, LayerNorm, Linear, requireShape } from '@x/core-gpu'
import { type Turn } from '../sparse-attention.ts'

/**
 * How much a query wants each token: I_ts = sum_j w_tj relu(q_tj . k_s), with -Infinity for tokens that come later; the
 * last query stands at the last token.
 * @param q queries of each head of the indexer, float32 [B, L, H, d]
 * @param k one key for each token, float32 [B, S, d]
 * @param w weights of the heads, float32 [B, L, H]
 * @returns [B, L, S]
 * @throws RangeError when shapes do not fit
 */
export function indexerScores(q: tf.Tensor4D, k: tf.Tensor3D, w: tf.Tensor3D): tf.Tensor3D {
  const [batch, length, heads, width] = q.shape
  requireShape('k', k, [batch, null, width])
  requireShape('w', w, [batch, length, heads])
  const keys = k.shape[1]
  return tf.tidy(() => {
    const query = tf.add(tf.range(0, length), keys - length)
    const later = tf.greater(tf.reshape(tf.range(0, keys), [1, 1, keys]), tf.reshape(query, [1, length, 1]))
    return tf.where(later, -Infinity, rawScores(q, k, w)) as tf.Tensor3D
  })
}

/** The same for all tokens, whenever they come, [B, L, S]. */
export function rawScores(q: tf.Tensor4D, k: tf.Tensor3D, w: tf.Tensor3D): tf.Tensor3D {
  const [batch, length, heads, width] = q.shape
  return tf.tidy(() => {
    const products = tf.matMul(tf.reshape(q, [batch, length * heads, width]), k, false, true)
    const positive = tf.relu(tf.reshape(products, [batch * length, heads, k.shape[1]]))
    const weights = tf.reshape(w, [batch * length, 1, heads])
    return tf.reshape(tf.matMul(weights, positive), [batch, length, k.shape[1]])
  })
}

export interface IndexerOptions {
  /** D */
  readonly dim: number
  /** width of what queries are made of */
  readonly queryDim: number
  readonly heads: number
  /** width of a head's query, and of the one key of a token */
  readonly width: number
  readonly key: Key
}

/** The part of sparse attention that says which tokens are worth attending to: few narrow heads and one key for each token. */
export class Indexer extends BaseModule {
  readonly q: Linear
  readonly k: Linear
  readonly kNorm: LayerNorm
  readonly weights: Linear
  readonly heads: number
  readonly width: number

  constructor({ dim, queryDim, heads, width, key }: IndexerOptions) {
    super()
    const [qKey, kKey, weightsKey] = key.split(3) as [Key, Key, Key]
    this.q = new Linear(queryDim, heads * width, { key: qKey, bias: false })
    this.k = new Linear(dim, width, { key: kKey, bias: false })
    this.kNorm = new LayerNorm(width)
    this.weights = new Linear(dim, heads, { key: weightsKey, bias: false })
    this.heads = heads
    this.width = width
  }

  /** @param from what queries are made of, [B, L, queryDim] @returns [B, L, H, d] */
  queries(from: tf.Tensor, turn: Turn): tf.Tensor4D {
    const flat = this.q.forward(from) as tf.Tensor3D
    const [batch, length] = flat.shape
    const q = tf.transpose(tf.reshape(flat, [batch, length, this.heads, this.width]), [0, 2, 1, 3]) as tf.Tensor4D
    return tf.transpose(turn(q), [0, 2, 1, 3])
  }

  /** @returns one key for each token, turned, [B, 1, L, d] */
  keys(x: tf.Tensor3D, turn: Turn): tf.Tensor4D {
    return turn(tf.expandDims(this.kNorm.forward(this.k.forward(x)), 1) as tf.Tensor4D)
  }

  /** @returns weights of the heads, [B, L, H] */
  headWeights(x: tf.Tensor3D): tf.Tensor3D {
    return tf.mul(this.weights.forward(x), (this.heads * this.width) ** -0.5)
  }
}

import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  describeShape,
  Embedding,
  initialisers,
  key as makeKey,
  type Key,
  Linear,
  type Module,
  requireInteger,
  requireShape,
  RmsNorm,
} from '@x/core-gpu'
import type { Attention } from '../attention.ts'
import type { CacheOptions } from '../caches/cache.ts'
import type { Positions } from '../positions/position.ts'
import { DecoderCache } from './decoder-cache.ts'
import { SwiGlu } from './feed-forward.ts'

/** What comes after the attention in a block: [..., D] to the same shape. */
export interface FeedForward extends Module {
  forward(x: tf.Tensor): tf.Tensor
}

export interface DecoderOptions {
  /** V, tokens to choose from */
  readonly vocabulary: number
  /** D */
  readonly dim: number
  /** number of blocks */
  readonly layers: number
  /** the attention of a block, of width D; any of this package */
  readonly attention: (layer: number, key: Key) => Attention
  /** what follows it; default `SwiGlu` of `hiddenDim` */
  readonly feedForward?: (layer: number, key: Key) => FeedForward
  /** width of the default feed-forward; default 8/3 D, up to a multiple of 8 */
  readonly hiddenDim?: number
  /** whether logits are products with the tokens' own vectors; default true */
  readonly tied?: boolean
  /** added to mean squares; default 1e-6 */
  readonly normEpsilon?: number
  /** draws the first weights; default `key(0)` */
  readonly key?: Key
}

export interface LogitsOptions {
  /** appended to, and attended over; inference only */
  readonly cache?: DecoderCache
  /** where the tokens stand; default: counted on from the cache, or from 0 */
  readonly positions?: Positions
  /** whether this is a training step; default false */
  readonly training?: boolean
  /** where dropout takes its numbers from */
  readonly key?: Key
}

/** Attention, then a feed-forward, each normalised before and added. */
class Block extends BaseModule {
  readonly attentionNorm: RmsNorm
  readonly attention: Attention
  readonly feedForwardNorm: RmsNorm
  readonly feedForward: FeedForward

  constructor(attention: Attention, feedForward: FeedForward, epsilon: number) {
    super()
    this.attentionNorm = new RmsNorm(attention.dim, { epsilon })
    this.attention = attention
    this.feedForwardNorm = new RmsNorm(attention.dim, { epsilon })
    this.feedForward = feedForward
  }
}

/** A transformer language model. */
export class Decoder extends BaseModule {
  readonly embedding: Embedding
  readonly blocks: readonly Block[]
  readonly norm: RmsNorm
  /** null where logits are products with the tokens' own vectors */
  readonly head: Linear | null
  readonly vocabulary: number
  readonly dim: number

  /** @throws RangeError naming the option that is wrong, such as an attention of another width */
  constructor(options: DecoderOptions) {
    super()
    const { vocabulary, dim, layers, attention, tied = true, normEpsilon = 1e-6, key = makeKey(0) } = options
    const { hiddenDim = 8 * Math.ceil(dim / 3) } = options
    const { feedForward = (_: number, own: Key) => new SwiGlu(dim, hiddenDim, own) } = options
    requireInteger('vocabulary', vocabulary, 1)
    requireInteger('dim', dim, 1)
    requireInteger('layers', layers, 1)
    const [embeddingKey, headKey, blocksKey] = key.split(3) as [Key, Key, Key]
    const init = initialisers.normal({ standardDeviation: 0.02 })
    this.vocabulary = vocabulary
    this.dim = dim
    this.embedding = new Embedding(vocabulary, dim, { key: embeddingKey, init })
    this.blocks = blocksKey.split(layers).map((blockKey, layer) => {
      const [attentionKey, feedForwardKey] = blockKey.split(2) as [Key, Key]
      const made = attention(layer, attentionKey)
      if (made.dim !== dim) throw new RangeError(`attention: expected one of width ${dim}, got ${made.dim}`)
      return new Block(made, feedForward(layer, feedForwardKey), normEpsilon)
    })
    this.norm = new RmsNorm(dim, { epsilon: normEpsilon })
    this.head = tied ? null : new Linear(dim, vocabulary, { key: headKey, bias: false })
  }

  /**
   * What the model makes of tokens, before it says which come next.
   * @param tokens int32 [B, L], each from 0 to V - 1
   * @returns [B, L, D], normalised
   * @throws TypeError, RangeError naming the argument that does not fit; no cache is changed then
   */
  hidden(tokens: tf.Tensor2D, { cache, positions, training = false, key }: LogitsOptions = {}): tf.Tensor3D {
    requireShape('tokens', tokens, [null, null])
    if (tokens.dtype !== 'int32' || tokens.size === 0)
      throw new RangeError(
        `tokens: expected int32 with at least one, got ${tokens.dtype} ${describeShape(tokens.shape)}`,
      )
    if (cache && cache.layers.length !== this.blocks.length)
      throw new RangeError(`cache: expected one of ${this.blocks.length} layers, got ${cache.layers.length}`)
    return tf.tidy(() => {
      let x = this.embedding.forward(tokens) as tf.Tensor3D
      let firstValues: tf.Tensor4D | undefined
      for (const [layer, block] of this.blocks.entries()) {
        const { attention } = block
        const y = block.attentionNorm.forward(x) as tf.Tensor3D
        // Values of the first layer serve all later ones that mix them in. arXiv 2410.17897
        if (layer === 0 && makesValues(attention) && this.blocks.some((later) => mixesValues(later.attention)))
          firstValues = attention.values(y)
        const attended = attention.forward(y, {
          training,
          ...(positions && { positions }),
          ...(cache && { cache: cache.layers[layer]! }),
          ...(key && { key: key.fold(layer) }),
          ...(firstValues && mixesValues(attention) && { firstValues }),
        })
        const z = tf.add(x, attended)
        x = tf.add(z, block.feedForward.forward(block.feedForwardNorm.forward(z)))
      }
      return this.norm.forward(x) as tf.Tensor3D
    })
  }

  /**
   * Scores of the next token.
   * @param hidden [..., D], as `hidden` gives it
   * @returns [..., V]
   */
  project(hidden: tf.Tensor): tf.Tensor {
    if (this.head) return this.head.forward(hidden)
    return tf.tidy(() => {
      const rows = tf.reshape(hidden, [-1, this.dim]) as tf.Tensor2D
      const products = tf.matMul(rows, this.embedding.weight as unknown as tf.Tensor2D, false, true)
      return tf.reshape(products, [...hidden.shape.slice(0, -1), this.vocabulary])
    })
  }

  /**
   * Scores of the token after each.
   * @param tokens int32 [B, L], each from 0 to V - 1
   * @returns [B, L, V]; to be disposed by the caller
   * @throws TypeError, RangeError naming the argument that does not fit; no cache is changed then
   */
  logits(tokens: tf.Tensor2D, options: LogitsOptions = {}): tf.Tensor3D {
    return tf.tidy(() => this.project(this.hidden(tokens, options)) as tf.Tensor3D)
  }

  /** An empty cache for this model, to be disposed by the caller. */
  createCache(options: CacheOptions): DecoderCache {
    return new DecoderCache(this.blocks.map(({ attention }) => attention.createCache(options)))
  }

  /** How many numbers are trained. */
  get size(): number {
    return Object.values(this.parameters()).reduce((sum, { size }) => sum + size, 0)
  }
}

/**
 * A transformer language model: RMSNorm before and SwiGLU after any attention, logits by the tokens' own vectors.
 * @throws RangeError naming the option that is wrong
 */
export function decoder(options: DecoderOptions): Decoder {
  return new Decoder(options)
}

interface MakesValues extends Attention {
  values(x: tf.Tensor3D): tf.Tensor4D
}

function makesValues(attention: Attention): attention is MakesValues {
  return typeof (attention as Partial<MakesValues>).values === 'function'
}

function mixesValues(attention: Attention): boolean {
  return (attention as { projection?: { takesFirstValues?: boolean } }).projection?.takesFirstValues === true
}

import * as tf from '@tensorflow/tfjs-core'
import {
  attend,
  BaseModule,
  Dropout,
  Embedding,
  type ForwardContext,
  gelu,
  initialisers,
  type Key,
  Linear,
  RmsNorm,
  variable,
} from '@x/core-gpu'
import { crossEntropy } from './cross-entropy.ts'

export interface CodePriorOptions {
  /** codes to choose from (K) */
  readonly codes: number
  /** codes in a sequence (L) */
  readonly length: number
  readonly classes: number
  readonly width: number
  readonly heads: number
  readonly layers: number
  /** share of what each block adds that is dropped in training */
  readonly dropout: number
}

/** The key of a part, where there is one. */
function inside(context: ForwardContext, part: number): ForwardContext {
  return context.key ? { ...context, key: context.key.fold(part) } : context
}

/** Attention to what came before, then two layers at each place, both normalised before and added. */
class Block extends BaseModule {
  readonly attentionNorm: RmsNorm
  readonly queriesKeysValues: Linear
  readonly attended: Linear
  readonly layersNorm: RmsNorm
  readonly wide: Linear
  readonly narrow: Linear
  readonly dropout: Dropout
  readonly #heads: number

  constructor({ width, heads, dropout }: CodePriorOptions, key: Key) {
    super()
    const [first, second, third, fourth] = key.split(4) as [Key, Key, Key, Key]
    this.attentionNorm = new RmsNorm(width)
    this.queriesKeysValues = new Linear(width, 3 * width, { key: first, bias: false })
    this.attended = new Linear(width, width, { key: second })
    this.layersNorm = new RmsNorm(width)
    this.wide = new Linear(width, 4 * width, { key: third })
    this.narrow = new Linear(4 * width, width, { key: fourth })
    this.dropout = new Dropout(dropout)
    this.#heads = heads
  }

  /** @param x [B, T, w] @returns the same shape */
  forward(x: tf.Tensor3D, context: ForwardContext): tf.Tensor3D {
    return tf.tidy(() => {
      const seen = this.dropout.forward(this.#attention(this.attentionNorm.forward(x)), inside(context, 0))
      const y = tf.add(x, seen)
      const thought = this.narrow.forward(gelu(this.wide.forward(this.layersNorm.forward(y))))
      return tf.add(y, this.dropout.forward(thought, inside(context, 1)))
    })
  }

  #attention(x: tf.Tensor): tf.Tensor {
    const [batch, places, width] = x.shape as [number, number, number]
    const split = tf.reshape(this.queriesKeysValues.forward(x), [batch, places, 3, this.#heads, width / this.#heads])
    const [q, k, v] = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4])) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] // [B, h, T, w / h]
    const { output } = attend(q, k, v, { causal: true })
    return this.attended.forward(tf.reshape(tf.transpose(output, [0, 2, 1, 3]), [batch, places, width]))
  }
}

/** A transformer that says, code by code, what comes next in a digit of a given class. */
export class CodePrior extends BaseModule {
  readonly classTokens: Embedding
  readonly codeTokens: Embedding
  /** [L, w] */
  readonly positions: tf.Variable
  readonly blocks: readonly Block[]
  readonly norm: RmsNorm
  readonly head: Linear
  readonly codes: number
  readonly length: number

  /** @throws RangeError when the heads do not share the width evenly */
  constructor(options: CodePriorOptions, key: Key) {
    super()
    const { codes, length, classes, width, heads, layers } = options
    if (width % heads !== 0) throw new RangeError(`heads: expected a divisor of the width ${width}, got ${heads}`)
    const [classKey, codeKey, positionKey, headKey, blocksKey] = key.split(5) as [Key, Key, Key, Key, Key]
    const init = initialisers.normal({ standardDeviation: 0.1 })
    this.classTokens = new Embedding(classes, width, { key: classKey, init })
    this.codeTokens = new Embedding(codes, width, { key: codeKey, init })
    this.positions = variable(positionKey.normal([length, width], { standardDeviation: 0.1 }))
    this.blocks = blocksKey.split(layers).map((blockKey) => new Block(options, blockKey))
    this.norm = new RmsNorm(width)
    // All codes are as likely before the first step.
    this.head = new Linear(width, codes, { key: headKey, init: initialisers.zeros(), biasInit: initialisers.zeros() })
    this.codes = codes
    this.length = length
  }

  /**
   * -log of the probability of each code, given its class and the codes before it, in nats.
   * @param labels int32 [B]
   * @param codes int32 [B, L]
   * @returns [B, L]
   */
  negativeLogLikelihood(labels: tf.Tensor1D, codes: tf.Tensor2D, context: ForwardContext = {}): tf.Tensor2D {
    return tf.tidy(() => {
      const [batch, length] = codes.shape
      const before = tf.slice(codes, [0, 0], [batch, length - 1])
      const hidden = tf.reshape<tf.Rank.R2>(this.#hidden(labels, before, context), [batch * length, -1])
      const logits = this.head.forward(hidden) as tf.Tensor2D // [B L, K]
      return tf.reshape(crossEntropy(logits, tf.reshape(codes, [-1])), [batch, length])
    })
  }

  /**
   * What comes next.
   * @param labels int32 [B]
   * @param codes those there are already, int32 [B, T], T < L
   * @returns logits [B, K]
   */
  next(labels: tf.Tensor1D, codes: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const [batch, known] = codes.shape
      const last = tf.slice(this.#hidden(labels, codes, {}), [0, known, 0], [batch, 1, -1])
      return this.head.forward(tf.reshape(last, [batch, -1])) as tf.Tensor2D
    })
  }

  /** The class and the codes before each place, up to the one after the last of them, [B, T + 1, w]. */
  #hidden(labels: tf.Tensor1D, codes: tf.Tensor2D, context: ForwardContext): tf.Tensor3D {
    const places = codes.shape[1] + 1
    const first = tf.expandDims(this.classTokens.forward(labels), 1) // [B, 1, w]
    const tokens = places === 1 ? first : tf.concat([first, this.codeTokens.forward(codes)], 1) // [B, T + 1, w]
    let x = tf.add(tokens, tf.slice(this.positions, [0, 0], [places, -1])) as tf.Tensor3D
    this.blocks.forEach((block, i) => {
      x = block.forward(x, inside(context, i))
    })
    return this.norm.forward(x) as tf.Tensor3D
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { attend, BaseModule, Embedding, gelu, initialisers, type Key, Linear, RmsNorm, variable } from '@x/core-gpu'
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
}

/** Attention to what came before, then two layers at each place, both normalised before and added. */
class Block extends BaseModule {
  readonly attentionNorm: RmsNorm
  readonly queries: Linear
  readonly keys: Linear
  readonly values: Linear
  readonly attended: Linear
  readonly layersNorm: RmsNorm
  readonly wide: Linear
  readonly narrow: Linear
  readonly #heads: number

  constructor({ width, heads }: CodePriorOptions, key: Key) {
    super()
    const keys = key.split(6)
    const linear = (inputs: number, outputs: number, index: number): Linear =>
      new Linear(inputs, outputs, { key: keys[index]! })
    this.attentionNorm = new RmsNorm(width)
    this.queries = linear(width, width, 0)
    this.keys = linear(width, width, 1)
    this.values = linear(width, width, 2)
    this.attended = linear(width, width, 3)
    this.layersNorm = new RmsNorm(width)
    this.wide = linear(width, 4 * width, 4)
    this.narrow = linear(4 * width, width, 5)
    this.#heads = heads
  }

  /** @param x [B, T, w] @returns the same shape */
  forward(x: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      const y = tf.add(x, this.#attention(this.attentionNorm.forward(x)))
      return tf.add(y, this.narrow.forward(gelu(this.wide.forward(this.layersNorm.forward(y)))))
    })
  }

  #attention(x: tf.Tensor): tf.Tensor {
    const [batch, places, width] = x.shape as [number, number, number]
    // [B, T, w] to [B, h, T, w / h]; a rank below five, since transposing more is slow on WebAssembly.
    const heads = (layer: Linear): tf.Tensor4D =>
      tf.transpose(tf.reshape(layer.forward(x), [batch, places, this.#heads, width / this.#heads]), [0, 2, 1, 3])
    const { output } = attend(heads(this.queries), heads(this.keys), heads(this.values), { causal: true })
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
  negativeLogLikelihood(labels: tf.Tensor1D, codes: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const [batch, length] = codes.shape
      const before = tf.slice(codes, [0, 0], [batch, length - 1])
      const hidden = tf.reshape<tf.Rank.R2>(this.#hidden(labels, before), [batch * length, -1])
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
      const last = tf.slice(this.#hidden(labels, codes), [0, known, 0], [batch, 1, -1])
      return this.head.forward(tf.reshape(last, [batch, -1])) as tf.Tensor2D
    })
  }

  /** The class and the codes before each place, up to the one after the last of them, [B, T + 1, w]. */
  #hidden(labels: tf.Tensor1D, codes: tf.Tensor2D): tf.Tensor3D {
    const places = codes.shape[1] + 1
    const first = tf.expandDims(this.classTokens.forward(labels), 1) // [B, 1, w]
    const tokens = places === 1 ? first : tf.concat([first, this.codeTokens.forward(codes)], 1) // [B, T + 1, w]
    let x = tf.add(tokens, tf.slice(this.positions, [0, 0], [places, -1])) as tf.Tensor3D
    for (const block of this.blocks) x = block.forward(x)
    return this.norm.forward(x) as tf.Tensor3D
  }
}

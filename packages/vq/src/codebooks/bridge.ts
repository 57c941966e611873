import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  geluTanh,
  type Key,
  key as makeKey,
  type Layer,
  LayerNorm,
  Linear,
  requireInteger,
  requireShape,
} from '@x/core-gpu'

export interface VqBridgeOptions {
  /** codes in a token; must divide their number; default: the least that gives at most 256 tokens */
  readonly patch?: number
  /** features of a token; default 128 */
  readonly width?: number
  /** transformer blocks; default 2 */
  readonly depth?: number
  /** attention heads; default 4 */
  readonly heads?: number
  /** default `key(0)` */
  readonly key?: Key
}

/**
 * Lets codes talk to one another: patches of codes are the tokens of a small transformer, whose output is added to them.
 * arXiv 2509.10140
 *
 * The authors leave the sum out and start the last layer at 0, where all codes are equal; here codes start nearly as they are.
 * Attention compares all tokens: memory grows with (K / patch)^2.
 */
export class VqBridge extends BaseModule implements Layer {
  readonly size: number
  readonly dim: number
  readonly embed: Linear
  readonly blocks: readonly Block[]
  readonly norm: LayerNorm
  readonly project: Linear
  readonly #patch: number

  /** @throws RangeError when an option is out of range or does not divide */
  constructor(size: number, dim: number, options: VqBridgeOptions = {}) {
    super()
    requireInteger('codebookSize', size, 1)
    requireInteger('dim', dim, 1)
    const { patch = defaultPatch(size), width = 128, depth = 2, heads = 4, key = makeKey(0) } = options
    for (const [name, value] of Object.entries({ patch, width, depth, heads })) requireInteger(name, value, 1)
    if (size % patch !== 0) throw new RangeError(`patch: expected a divisor of ${size} codes, got ${patch}`)
    if (width % heads !== 0) throw new RangeError(`heads: expected a divisor of the width ${width}, got ${heads}`)
    const [embedKey, projectKey, ...blockKeys] = key.split(2 + depth) as [Key, Key, ...Key[]]
    this.size = size
    this.dim = dim
    this.embed = new Linear(patch * dim, width, { key: embedKey })
    this.blocks = blockKeys.map((at) => new Block(width, heads, at))
    this.norm = new LayerNorm(width)
    this.project = new Linear(width, patch * dim, {
      key: projectKey,
      init: (shape, _, at) => at.normal(shape, { standardDeviation: 0.02 }),
      biasInit: (shape) => tf.zeros(shape),
    })
    this.#patch = patch
  }

  /**
   * @param codes `[K, d]`
   * @returns `[K, d]`
   */
  forward(codes: tf.Tensor): tf.Tensor {
    requireShape('codes', codes, [this.size, this.dim])
    return tf.tidy(() => {
      const patches = tf.reshape(codes, [-1, this.#patch * this.dim]) // [T, patch d]
      const tokens = this.blocks.reduce((x, block) => block.forward(x), this.embed.forward(patches)) // [T, width]
      const change = this.project.forward(this.norm.forward(tokens))
      return tf.add(codes, tf.reshape(change, [this.size, this.dim]))
    })
  }
}

/** Attention and a perceptron, each on normalised tokens and added to them. */
class Block extends BaseModule implements Layer {
  readonly attentionNorm: LayerNorm
  readonly qkv: Linear
  readonly mix: Linear
  readonly mlpNorm: LayerNorm
  readonly up: Linear
  readonly down: Linear
  readonly #heads: number

  constructor(width: number, heads: number, key: Key) {
    super()
    const [qkv, mix, up, down] = key.split(4) as [Key, Key, Key, Key]
    this.attentionNorm = new LayerNorm(width)
    this.qkv = new Linear(width, 3 * width, { key: qkv })
    this.mix = new Linear(width, width, { key: mix })
    this.mlpNorm = new LayerNorm(width)
    this.up = new Linear(width, 4 * width, { key: up })
    this.down = new Linear(4 * width, width, { key: down })
    this.#heads = heads
  }

  forward(x: tf.Tensor): tf.Tensor {
    const attended = tf.add(x, this.mix.forward(this.#attend(this.attentionNorm.forward(x)))) // [T, width]
    return tf.add(attended, this.down.forward(geluTanh(this.up.forward(this.mlpNorm.forward(attended)))))
  }

  #attend(x: tf.Tensor): tf.Tensor {
    const [tokens, width] = x.shape as [number, number]
    const size = width / this.#heads
    const heads = tf.transpose(tf.reshape(this.qkv.forward(x), [tokens, 3, this.#heads, size]), [1, 2, 0, 3]) // [3, h, T, size]
    const [q, k, v] = [0, 1, 2].map((i) =>
      tf.reshape<tf.Rank.R3>(tf.slice(heads, i, 1), [this.#heads, tokens, size]),
    ) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D] // [h, T, size]
    const weights = tf.softmax(tf.mul(size ** -0.5, tf.matMul(q, k, false, true))) // [h, T, T]
    return tf.reshape(tf.transpose(tf.matMul(weights as tf.Tensor3D, v), [1, 0, 2]), [tokens, width])
  }
}

function defaultPatch(size: number): number {
  for (let patch = Math.ceil(size / 256); patch < size; patch++) if (size % patch === 0) return patch
  return size
}

import * as tf from '@tensorflow/tfjs-core'
import {
  attend,
  BaseModule,
  Conv2d,
  Dropout,
  type ForwardContext,
  GroupNorm,
  type Key,
  type Layer,
  Linear,
  silu,
} from '@x/core-gpu'

/** What the blocks of one network have in common. */
export interface BlockOptions {
  /** of every group norm */
  readonly groups: number
  /** share of features dropped in training */
  readonly dropout: number
  readonly key: Key
}

/** The authors' epsilon of group norms (arXiv 2012.09841). */
const epsilon = 1e-6

/** The norm before every convolution of these networks. */
export function normOf(channels: number, groups: number): GroupNorm {
  return new GroupNorm(groups, channels, { epsilon })
}

/** A 3 x 3 convolution that keeps the size of an image. */
export function conv3x3(inChannels: number, outChannels: number, key: Key): Conv2d {
  return new Conv2d(inChannels, outChannels, { key, kernelSize: 3, padding: 1 })
}

/** Two convolutions, each after a norm and SiLU, added to their input. */
class ResidualBlock extends BaseModule implements Layer {
  readonly norm1: GroupNorm
  readonly conv1: Conv2d
  readonly norm2: GroupNorm
  readonly dropout: Dropout
  readonly conv2: Conv2d
  /** 1 x 1, where the numbers of channels differ */
  readonly skip: Conv2d | null

  constructor(inChannels: number, outChannels: number, { groups, dropout, key }: BlockOptions) {
    super()
    const [first, second, skip] = key.split(3) as [Key, Key, Key]
    this.norm1 = normOf(inChannels, groups)
    this.conv1 = conv3x3(inChannels, outChannels, first)
    this.norm2 = normOf(outChannels, groups)
    this.dropout = new Dropout(dropout)
    this.conv2 = conv3x3(outChannels, outChannels, second)
    this.skip = inChannels === outChannels ? null : new Conv2d(inChannels, outChannels, { key: skip, kernelSize: 1 })
  }

  forward(x: tf.Tensor, context: ForwardContext = {}): tf.Tensor {
    return tf.tidy(() => {
      const inner = this.conv1.forward(silu(this.norm1.forward(x))) // [B, H, W, out]
      const dropped = this.dropout.forward(silu(this.norm2.forward(inner)), context)
      return tf.add(this.skip ? this.skip.forward(x) : x, this.conv2.forward(dropped))
    })
  }
}

/** Attention of all positions of an image to one another, with one head, added to its input. */
class ImageAttention extends BaseModule implements Layer {
  readonly norm: GroupNorm
  readonly qkv: Linear
  readonly mix: Linear

  constructor(channels: number, { groups, key }: BlockOptions) {
    super()
    const [qkv, mix] = key.split(2) as [Key, Key]
    this.norm = normOf(channels, groups)
    this.qkv = new Linear(channels, 3 * channels, { key: qkv })
    this.mix = new Linear(channels, channels, { key: mix })
  }

  forward(x: tf.Tensor): tf.Tensor {
    const [batch, height, width, channels] = x.shape as [number, number, number, number]
    return tf.tidy(() => {
      const all = tf.reshape(this.qkv.forward(this.norm.forward(x)), [batch, 1, height * width, 3 * channels])
      const [q, k, v] = tf.split(all as tf.Tensor4D, 3, 3) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] // [B, 1, H W, C]
      const { output } = attend(q, k, v) // [B, 1, H W, C]
      return tf.add(x, this.mix.forward(tf.reshape(output, x.shape)))
    })
  }
}

/** Residual blocks at one resolution, some of them followed by attention. */
export class Level extends BaseModule implements Layer {
  readonly blocks: readonly Layer[]
  readonly attentions: readonly Layer[]

  /** @param attentions how many of the first blocks attend */
  constructor(inChannels: number, outChannels: number, blocks: number, attentions: number, options: BlockOptions) {
    super()
    const keys = options.key.split(blocks + attentions)
    const at = (i: number): BlockOptions => ({ ...options, key: keys[i]! })
    this.blocks = Array.from(
      { length: blocks },
      (_, i) => new ResidualBlock(i === 0 ? inChannels : outChannels, outChannels, at(i)),
    )
    this.attentions = Array.from({ length: attentions }, (_, i) => new ImageAttention(outChannels, at(blocks + i)))
  }

  forward(x: tf.Tensor, context: ForwardContext = {}): tf.Tensor {
    return tf.tidy(() =>
      this.blocks.reduce((y, block, i) => {
        const next = block.forward(y, contextOf(context, i))
        return this.attentions[i]?.forward(next) ?? next
      }, x),
    )
  }
}

/** Two blocks at the lowest resolution, with attention between them where that resolution attends. */
export function middleOf(channels: number, attends: boolean, options: BlockOptions): Level {
  return new Level(channels, channels, 2, attends ? 1 : 0, options)
}

/** The context of one of several parts: each draws from a key of its own. */
export function contextOf(context: ForwardContext, part: number): ForwardContext {
  return context.key ? { ...context, key: context.key.fold(part) } : context
}

import * as tf from '@tensorflow/tfjs-core'
import { attend, BaseModule, Conv2d, GroupNorm, type Key, Linear, silu, Upsample } from '@x/core-gpu'
import type { LogSnr } from '@x/diffusion'

const groups = 8
const heads = 4
/** Of the level's embedding. */
const width = 128

/** Two convolutions with the level's embedding between them, beside a straight way. */
class Block extends BaseModule {
  readonly norm1: GroupNorm
  readonly conv1: Conv2d
  readonly level: Linear
  readonly norm2: GroupNorm
  readonly conv2: Conv2d
  readonly straight: Conv2d | null

  constructor(from: number, to: number, key: Key) {
    super()
    const [a, b, c, d] = key.split(4) as [Key, Key, Key, Key]
    this.norm1 = new GroupNorm(groups, from)
    this.conv1 = new Conv2d(from, to, { kernelSize: 3, padding: 1, key: a })
    this.level = new Linear(width, to, { key: b })
    this.norm2 = new GroupNorm(groups, to)
    this.conv2 = new Conv2d(to, to, { kernelSize: 3, padding: 1, key: c })
    this.straight = from === to ? null : new Conv2d(from, to, { kernelSize: 1, key: d })
  }

  /** @param x [B, H, W, from] @param level [1, width] @returns [B, H, W, to] */
  forward(x: tf.Tensor, level: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const shift = tf.reshape(this.level.forward(silu(level)), [1, 1, 1, -1])
      const hidden = tf.add(this.conv1.forward(silu(this.norm1.forward(x))), shift)
      return tf.add(this.straight?.forward(x) ?? x, this.conv2.forward(silu(this.norm2.forward(hidden))))
    })
  }
}

/** Attention between all pixels, beside a straight way. */
class PixelAttention extends BaseModule {
  readonly norm: GroupNorm
  readonly input: Linear
  readonly output: Linear
  readonly channels: number

  constructor(channels: number, key: Key) {
    super()
    const [a, b] = key.split(2) as [Key, Key]
    this.channels = channels
    this.norm = new GroupNorm(groups, channels)
    this.input = new Linear(channels, 3 * channels, { key: a })
    this.output = new Linear(channels, channels, { key: b })
  }

  /** @param x [B, H, W, channels] @returns the same shape */
  forward(x: tf.Tensor): tf.Tensor {
    const [batch, h, w] = x.shape as [number, number, number]
    return tf.tidy(() => {
      const all = this.input.forward(tf.reshape(this.norm.forward(x), [batch, h * w, this.channels]))
      const [q, k, v] = tf.split(all, 3, 2).map((part) => {
        const apart = tf.reshape(part, [batch, h * w, heads, this.channels / heads])
        return tf.transpose(apart, [0, 2, 1, 3]) as tf.Tensor4D // [B, heads, L, d]
      }) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D]
      const seen = tf.transpose(attend(q, k, v).output, [0, 2, 1, 3])
      return tf.add(x, tf.reshape(this.output.forward(tf.reshape(seen, [batch, h * w, this.channels])), x.shape))
    })
  }
}

/** A small U-Net for images of 32 x 32: three sizes of 32, 64 and 64 channels, attention at 8 x 8. */
export class SmallUNet extends BaseModule {
  readonly level1: Linear
  readonly level2: Linear
  readonly first: Conv2d
  readonly down: Block[]
  readonly shrink: Conv2d[]
  readonly middle: Block
  readonly attention: PixelAttention
  readonly up: Block[]
  readonly grow: Conv2d[]
  readonly enlarge: Upsample
  readonly norm: GroupNorm
  readonly last: Conv2d

  constructor(key: Key) {
    super()
    const keys = key.split(16)[Symbol.iterator]()
    const next = (): Key => keys.next().value!
    const conv = (from: number, to: number, stride = 1): Conv2d =>
      new Conv2d(from, to, { kernelSize: 3, padding: 1, stride, key: next() })
    this.level1 = new Linear(width, width, { key: next() })
    this.level2 = new Linear(width, width, { key: next() })
    this.first = conv(3, 32)
    this.down = [new Block(32, 32, next()), new Block(32, 64, next()), new Block(64, 64, next())]
    this.shrink = [conv(32, 32, 2), conv(64, 64, 2)]
    this.middle = new Block(64, 64, next())
    this.attention = new PixelAttention(64, next())
    this.up = [new Block(128, 64, next()), new Block(128, 64, next()), new Block(96, 32, next())]
    this.grow = [conv(64, 64), conv(64, 64)]
    this.enlarge = new Upsample({ scale: 2 })
    this.norm = new GroupNorm(groups, 32)
    this.last = conv(32, 3)
  }

  /** @param x [B, 32, 32, 3] @returns the same shape */
  forward(x: tf.Tensor, logSnr: LogSnr): tf.Tensor {
    return tf.tidy(() => {
      const level = this.level2.forward(silu(this.level1.forward(waves(logSnr))))
      const skips: tf.Tensor[] = []
      let y = this.first.forward(x)
      for (const [i, block] of this.down.entries()) {
        y = block.forward(y, level)
        skips.push(y)
        y = this.shrink[i]?.forward(y) ?? y
      }
      y = this.attention.forward(this.middle.forward(y, level))
      for (const [i, block] of this.up.entries()) {
        y = block.forward(tf.concat([y, skips.pop()!], 3), level)
        y = this.grow[i]?.forward(this.enlarge.forward(y)) ?? y
      }
      return this.last.forward(silu(this.norm.forward(y)))
    })
  }
}

/** Sines and cosines of the level, [1, width]. */
function waves(logSnr: LogSnr): tf.Tensor2D {
  const half = width / 2
  const angles = Array.from({ length: half }, (_, i) => logSnr * 10 ** ((2 * i) / half - 1))
  return tf.tensor2d([[...angles.map(Math.sin), ...angles.map(Math.cos)]])
}

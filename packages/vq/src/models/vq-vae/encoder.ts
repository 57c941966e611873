import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, Conv2d, type ForwardContext, type GroupNorm, type Key, type Layer, silu } from '@x/core-gpu'
import { contextOf, conv3x3, Level, middleOf, normOf } from './blocks.ts'
import { type CompleteConfig, levelsOf } from './config.ts'

/** From an image to its latents: levels of residual blocks, the resolution halved between them (arXiv 2012.09841). */
export class Encoder extends BaseModule implements Layer {
  readonly input: Conv2d
  readonly levels: readonly Level[]
  readonly downsamples: readonly Conv2d[]
  readonly middle: Level
  readonly norm: GroupNorm
  readonly output: Conv2d

  constructor(config: CompleteConfig, key: Key) {
    super()
    const { channels, blocks, latentDim, groups, dropout } = config
    const levels = levelsOf(config)
    const [input, middle, output, ...others] = key.split(3 + 2 * levels.length) as [Key, Key, Key, ...Key[]]
    const options = (at: Key): { groups: number; dropout: number; key: Key } => ({ groups, dropout, key: at })
    const last = levels.at(-1)!
    this.input = conv3x3(channels, config.width, input)
    this.levels = levels.map(
      ({ features, attends }, i) =>
        new Level(levels[i - 1]?.features ?? config.width, features, blocks, attends ? blocks : 0, options(others[i]!)),
    )
    this.downsamples = levels.slice(0, -1).map(
      ({ features }, i) =>
        // `same` adds its zeros at the end, as the authors do.
        new Conv2d(features, features, { key: others[levels.length + i]!, kernelSize: 3, stride: 2, padding: 'same' }),
    )
    this.middle = middleOf(last.features, last.attends, options(middle))
    this.norm = normOf(last.features, groups)
    this.output = conv3x3(last.features, latentDim, output)
  }

  /**
   * @param x images, [B, H, W, channels]
   * @returns [B, H / f, W / f, latentDim]
   */
  forward(x: tf.Tensor, context: ForwardContext = {}): tf.Tensor {
    return tf.tidy(() => {
      const reduced = this.levels.reduce((y, level, i) => {
        const next = level.forward(y, contextOf(context, i))
        return this.downsamples[i]?.forward(next) ?? next
      }, this.input.forward(x))
      const deep = this.middle.forward(reduced, contextOf(context, this.levels.length))
      return this.output.forward(silu(this.norm.forward(deep)))
    })
  }
}

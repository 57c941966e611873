import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Conv2d, type ForwardContext, type GroupNorm, type Key, silu, Upsample } from '@x/core-gpu'
import { contextOf, conv3x3, Level, middleOf, normOf } from './blocks.ts'
import { type CompleteConfig, levelsOf } from './config.ts'

/** From latents to an image: the encoder's levels the other way round, each with one block more (arXiv 2012.09841). */
export class Decoder extends BaseModule {
  readonly input: Conv2d
  readonly middle: Level
  /** lowest resolution first */
  readonly levels: readonly Level[]
  readonly upsamples: readonly Conv2d[]
  readonly norm: GroupNorm
  /** the last layer, with no activation after it */
  readonly output: Conv2d
  readonly #enlarge = new Upsample({ scale: 2 })

  constructor(config: CompleteConfig, key: Key) {
    super()
    const { channels, latentDim, groups, dropout } = config
    const blocks = config.blocks + 1
    const levels = levelsOf(config).toReversed()
    const [input, middle, output, ...others] = key.split(3 + 2 * levels.length) as [Key, Key, Key, ...Key[]]
    const options = (at: Key): { groups: number; dropout: number; key: Key } => ({ groups, dropout, key: at })
    const first = levels[0]!
    this.input = conv3x3(latentDim, first.features, input)
    this.middle = middleOf(first.features, first.attends, options(middle))
    this.levels = levels.map(
      ({ features, attends }, i) =>
        new Level(levels[i - 1]?.features ?? features, features, blocks, attends ? blocks : 0, options(others[i]!)),
    )
    this.upsamples = levels
      .slice(0, -1)
      .map(({ features }, i) => conv3x3(features, features, others[levels.length + i]!))
    this.norm = normOf(levels.at(-1)!.features, groups)
    this.output = conv3x3(levels.at(-1)!.features, channels, output)
  }

  /**
   * What the last layer sees.
   * @param z latents, [B, H / f, W / f, latentDim]
   * @returns [B, H, W, features]
   */
  features(z: tf.Tensor, context: ForwardContext = {}): tf.Tensor {
    return tf.tidy(() => {
      const deep = this.middle.forward(this.input.forward(z), contextOf(context, this.levels.length))
      const full = this.levels.reduce((y, level, i) => {
        const next = level.forward(y, contextOf(context, i))
        return this.upsamples[i]?.forward(this.#enlarge.forward(next)) ?? next
      }, deep)
      return silu(this.norm.forward(full))
    })
  }
}

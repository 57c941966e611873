import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  BatchNorm,
  Conv2d,
  type ForwardContext,
  GroupNorm,
  initialisers,
  type Key,
  type Layer,
  leakyRelu,
  requireInteger,
  requireShape,
} from '@x/core-gpu'

export interface PatchDiscriminatorOptions {
  /** features of the first convolution; they double from layer to layer, up to eight times; default 64 */
  readonly width?: number
  /** convolutions that halve the resolution; default 3, where a logit sees 70 x 70 pixels */
  readonly layers?: number
  /**
   * `batch` standardises over the batch, as the paper does; `group` in each image for itself, in groups of up to 32
   * channels, which batches of few images need; default `batch`
   */
  readonly norm?: 'batch' | 'group'
}

/**
 * Says of every patch of an image whether it is real, by a logit: strided convolutions with leaky ReLU.
 * arXiv 1611.07004
 */
export class PatchDiscriminator extends BaseModule implements Layer {
  readonly convolutions: readonly Conv2d[]
  /** between the first and the last convolution, one after each */
  readonly norms: readonly Layer[]
  readonly channels: number

  /**
   * @param channels of the images
   * @throws RangeError when an option is out of range
   */
  constructor(channels: number, options: PatchDiscriminatorOptions & { readonly key: Key }) {
    super()
    const { width = 64, layers = 3, norm = 'batch', key } = options
    for (const [name, value] of Object.entries({ channels, width, layers })) requireInteger(name, value, 1)
    if (norm !== 'batch' && norm !== 'group')
      throw new RangeError(`norm: expected "batch" or "group", got ${String(norm)}`)
    const widths = [channels, ...Array.from({ length: layers + 1 }, (_, i) => width * Math.min(2 ** i, 8)), 1]
    this.channels = channels
    const keys = key.split(layers + 2)
    this.convolutions = keys.map(
      (at, i) =>
        new Conv2d(widths[i]!, widths[i + 1]!, {
          key: at,
          kernelSize: 4,
          stride: i < layers ? 2 : 1,
          padding: 1,
          init: initialisers.normal({ standardDeviation: 0.02 }),
          // A norm takes a bias away again.
          bias: i === 0 || i === layers + 1 || norm === 'group',
        }),
    )
    this.norms = widths
      .slice(2, -1)
      .map((features) => (norm === 'batch' ? new BatchNorm(features) : new GroupNorm(groupsOf(features), features)))
  }

  /**
   * @param x images, [B, H, W, channels]
   * @returns logits, [B, h, w, 1]
   * @throws RangeError when the shape differs or the images are too small
   */
  forward(x: tf.Tensor, context: ForwardContext = {}): tf.Tensor {
    requireShape('x', x, [null, null, null, this.channels])
    return tf.tidy(() =>
      this.convolutions.reduce((y, convolution, i) => {
        const next = convolution.forward(y)
        if (i === this.convolutions.length - 1) return next
        return leakyRelu(i === 0 ? next : this.norms[i - 1]!.forward(next, context), { slope: 0.2 })
      }, x),
    )
  }
}

/** Height and width of the logits of an image; not above 0 where there is nothing left of it. */
export function patchesOf(size: readonly [number, number], layers: number): [number, number] {
  const along = (pixels: number): number =>
    Array.from({ length: layers }).reduce<number>((n) => Math.floor((n - 2) / 2) + 1, pixels) - 2
  return [along(size[0]), along(size[1])]
}

/** The most groups that divide the features, up to 32. */
function groupsOf(features: number): number {
  for (let groups = Math.min(32, features); groups > 1; groups--) if (features % groups === 0) return groups
  return 1
}

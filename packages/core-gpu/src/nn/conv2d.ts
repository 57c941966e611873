import * as tf from '@tensorflow/tfjs-core'
import { spreadTaps } from '../kernels/conv2d/dilated-gradients.ts'
import { BaseModule, variable } from '../module/module.ts'
import type { Key } from '../random/key.ts'
import { describeShape, requireInteger, requireShape } from '../validation/validation.ts'
import { fanInUniform, type Initialiser } from './initialisers.ts'
import type { Layer } from './layer.ts'
import { pairOf, type Pair } from './windows.ts'

export interface Conv2dOptions {
  /** where the first weights are drawn from */
  readonly key: Key
  readonly kernelSize: Pair
  /** default 1 */
  readonly stride?: Pair
  /** zeros added on each side; `same` keeps ceil(size / stride) and adds an odd zero at the end; default 0 */
  readonly padding?: Pair | 'same'
  /** distance between the kernel's taps; default 1 */
  readonly dilation?: Pair
  /** default true */
  readonly bias?: boolean
  /** of the weight; default: uniform within `1 / sqrt(fan in)` */
  readonly init?: Initialiser
  /** of the bias; default: as the weight's default */
  readonly biasInit?: Initialiser
}

/** Two-dimensional convolution (cross-correlation) of images, NHWC. */
export class Conv2d extends BaseModule implements Layer {
  /** [kernel height, kernel width, in, out] */
  readonly weight: tf.Variable
  /** [out] */
  readonly bias: tf.Variable | null
  readonly inChannels: number
  readonly outChannels: number
  readonly #stride: [number, number]
  readonly #padding: [number, number] | 'same'
  readonly #dilation: [number, number]

  /** @throws RangeError when a size is out of range */
  constructor(inChannels: number, outChannels: number, options: Conv2dOptions) {
    super()
    requireInteger('inChannels', inChannels, 1)
    requireInteger('outChannels', outChannels, 1)
    const { key, stride = 1, padding = 0, dilation = 1, bias = true } = options
    const { init = fanInUniform(), biasInit = fanInUniform() } = options
    const [kh, kw] = pairOf('kernelSize', options.kernelSize, 1)
    this.inChannels = inChannels
    this.outChannels = outChannels
    this.#stride = pairOf('stride', stride, 1)
    this.#padding = padding === 'same' ? padding : pairOf('padding', padding, 0)
    this.#dilation = pairOf('dilation', dilation, 1)
    const fan = { in: kh * kw * inChannels, out: kh * kw * outChannels }
    const [weightKey, biasKey] = key.split(2) as [Key, Key]
    this.weight = variable(init([kh, kw, inChannels, outChannels], fan, weightKey))
    this.bias = bias ? variable(biasInit([outChannels], fan, biasKey)) : null
  }

  /**
   * @param x [B, H, W, in]
   * @returns [B, H', W', out] with H' = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1
   * @throws RangeError when the shape differs, or the kernel is larger than the padded image
   */
  forward(x: tf.Tensor): tf.Tensor {
    requireShape('x', x, [null, null, null, this.inChannels])
    const [pad, strides, dilations] = [this.#explicitPadding(x), this.#stride, this.#dilation]
    const [input, filter] = [x as tf.Tensor4D, this.weight as unknown as tf.Tensor4D]
    const isOne = (pair: readonly number[]): boolean => pair.every((n) => n === 1)
    return tf.tidy(() => {
      if (isOne(strides) && !isOne(dilations)) {
        // tfjs's fused convolution has no gradient for it.
        const y = tf.conv2d(input, filter, 1, pad, 'NHWC', dilations)
        return this.bias ? tf.add(y, this.bias) : y
      }
      // tfjs takes no stride together with a dilation.
      const spread = spreadTaps(filter, dilations)
      return tf.fused.conv2d({ x: input, filter: spread, strides, pad, ...(this.bias && { bias: this.bias }) })
    })
  }

  #explicitPadding(x: tf.Tensor): 'same' | tf.backend_util.ExplicitPadding {
    if (this.#padding === 'same') return 'same'
    const [top, left] = this.#padding
    const [kh, kw] = this.weight.shape as [number, number]
    const window = [(kh - 1) * this.#dilation[0] + 1, (kw - 1) * this.#dilation[1] + 1] as const
    if (x.shape[1]! + 2 * top < window[0] || x.shape[2]! + 2 * left < window[1]) {
      const size = describeShape([...window])
      throw new RangeError(`x: shape ${describeShape(x.shape)} is smaller than the kernel's window ${size}`)
    }
    return [
      [0, 0],
      [top, top],
      [left, left],
      [0, 0],
    ]
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, variable } from '../module/module.ts'
import type { Key } from '../random/key.ts'
import { describeValue, requireInteger, requireShape } from '../validation/validation.ts'
import { fanInUniform, type Initialiser } from './initialisers.ts'
import type { Layer } from './layer.ts'
import { pairOf, type Pair } from './windows.ts'

export interface ConvTranspose2dOptions {
  /** where the first weights are drawn from */
  readonly key: Key
  readonly kernelSize: Pair
  /** default 1 */
  readonly stride?: Pair
  /** rows and columns cut from each side; less than the kernel; default 0 */
  readonly padding?: Pair
  /** rows and columns added at the end; less than the stride; default 0 */
  readonly outputPadding?: Pair
  /** default true */
  readonly bias?: boolean
  /** of the weight; default: uniform within `1 / sqrt(fan in)` */
  readonly init?: Initialiser
  /** of the bias; default: as the weight's default */
  readonly biasInit?: Initialiser
}

/** Transposed convolution: the gradient of a `Conv2d` towards its input, used to enlarge images, NHWC. */
export class ConvTranspose2d extends BaseModule implements Layer {
  /** [kernel height, kernel width, out, in] */
  readonly weight: tf.Variable
  /** [out] */
  readonly bias: tf.Variable | null
  readonly inChannels: number
  readonly outChannels: number
  readonly #kernelSize: [number, number]
  readonly #stride: [number, number]
  readonly #padding: [number, number]
  readonly #outputPadding: [number, number]

  /** @throws RangeError when a size is out of range */
  constructor(inChannels: number, outChannels: number, options: ConvTranspose2dOptions) {
    super()
    requireInteger('inChannels', inChannels, 1)
    requireInteger('outChannels', outChannels, 1)
    const { key, stride = 1, padding = 0, outputPadding = 0, bias = true } = options
    const { init = fanInUniform(), biasInit = fanInUniform() } = options
    const [kh, kw] = pairOf('kernelSize', options.kernelSize, 1)
    this.inChannels = inChannels
    this.outChannels = outChannels
    this.#kernelSize = [kh, kw]
    this.#stride = pairOf('stride', stride, 1)
    this.#padding = pairOf('padding', padding, 0)
    this.#outputPadding = pairOf('outputPadding', outputPadding, 0)
    requireBelow('padding', this.#padding, 'kernelSize', this.#kernelSize)
    requireBelow('outputPadding', this.#outputPadding, 'stride', this.#stride)
    // PyTorch counts a transposed kernel's fan on the output's side.
    const fan = { in: kh * kw * outChannels, out: kh * kw * inChannels }
    const [weightKey, biasKey] = key.split(2) as [Key, Key]
    this.weight = variable(init([kh, kw, outChannels, inChannels], fan, weightKey))
    this.bias = bias ? variable(biasInit([outChannels], fan, biasKey)) : null
  }

  /**
   * @param x [B, H, W, in]
   * @returns [B, H', W', out] with H' = (H - 1) stride - 2 padding + kernel + outputPadding
   * @throws RangeError when the shape differs, or nothing would be left of the image
   */
  forward(x: tf.Tensor): tf.Tensor {
    requireShape('x', x, [null, null, null, this.inChannels])
    const [height, width] = [this.#outputSize(x, 0), this.#outputSize(x, 1)]
    return tf.tidy(() => {
      const [top, left] = this.#padding
      const y = tf.conv2dTranspose(
        x as tf.Tensor4D,
        this.weight as unknown as tf.Tensor4D,
        [x.shape[0]!, height, width, this.outChannels],
        this.#stride,
        [[0, 0], [top, top], [left, left], [0, 0]], // prettier-ignore
      )
      return this.bias ? tf.add(y, this.bias) : y
    })
  }

  #outputSize(x: tf.Tensor, axis: 0 | 1): number {
    const size =
      (x.shape[axis + 1]! - 1) * this.#stride[axis] -
      2 * this.#padding[axis] +
      this.#kernelSize[axis] +
      this.#outputPadding[axis]
    if (size < 1)
      throw new RangeError(`x: padding ${this.#padding[axis]} leaves nothing of the image along axis ${axis + 1}`)
    return size
  }
}

function requireBelow(name: string, value: readonly number[], boundName: string, bound: readonly number[]): void {
  if (value.some((part, i) => part >= bound[i]!))
    throw new RangeError(
      `${name}: expected less than ${boundName} (${bound.join(', ')}), got ${describeValue(value.join(', '))}`,
    )
}

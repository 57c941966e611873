import * as tf from '@tensorflow/tfjs-core'
import { Conv2d, ConvTranspose2d, type Initialiser, initialisers, type Key } from '@x/core-gpu'
import type { SignalContext } from './history.ts'

/** `causal`: an output knows nothing of what comes after it; `centred`: it knows as much of either side. */
export type SignalPadding = 'causal' | 'centred'

export interface SignalConvOptions {
  readonly key: Key
  readonly kernelSize: number
  /** not above the kernel's size; default 1 */
  readonly stride?: number
  /** default 1 */
  readonly dilation?: number
  readonly padding: SignalPadding
  /** of the weight; default: one that keeps the signal's variance */
  readonly init?: Initialiser
}

/** A convolution of signals, as images of height 1, with zeros around them: T / stride columns for T. */
export class SignalConv extends Conv2d {
  readonly #before: number
  readonly #after: number

  constructor(inChannels: number, outChannels: number, options: SignalConvOptions) {
    const {
      key,
      kernelSize,
      stride = 1,
      dilation = 1,
      padding,
      init = keepsVariance(kernelSize * inChannels),
    } = options
    super(inChannels, outChannels, {
      key,
      kernelSize: [1, kernelSize],
      stride: [1, stride],
      dilation: [1, dilation],
      init,
      biasInit: initialisers.zeros(),
    })
    const around = (kernelSize - 1) * dilation + 1 - stride
    this.#before = padding === 'causal' ? around : Math.floor(around / 2)
    this.#after = around - this.#before
  }

  /**
   * @param x [B, 1, T, in], T a multiple of the stride
   * @returns [B, 1, T / stride, out]
   */
  override forward(x: tf.Tensor, { history }: SignalContext = {}): tf.Tensor {
    return tf.tidy(() => super.forward(this.#padded(x, history)))
  }

  #padded(x: tf.Tensor, history: SignalContext['history']): tf.Tensor {
    if (this.#before + this.#after === 0) return x
    if (history) return history.join(this, x, this.#before)
    return tf.pad(x, [[0, 0], [0, 0], [this.#before, this.#after], [0, 0]]) // prettier-ignore
  }
}

export interface SignalConvTransposeOptions {
  readonly key: Key
  /** the kernel has twice as many taps: each output is made of two columns */
  readonly stride: number
  readonly padding: SignalPadding
}

/** The transposed convolution of signals: T stride columns for T. */
export class SignalConvTranspose extends ConvTranspose2d {
  readonly #stride: number
  readonly #cut: number

  constructor(inChannels: number, outChannels: number, options: SignalConvTransposeOptions) {
    const { key, stride, padding } = options
    super(inChannels, outChannels, {
      key,
      kernelSize: [1, 2 * stride],
      stride: [1, stride],
      init: keepsVariance(2 * inChannels),
      biasInit: initialisers.zeros(),
    })
    this.#stride = stride
    this.#cut = padding === 'causal' ? 0 : Math.floor(stride / 2)
  }

  /**
   * @param x [B, 1, T, in]
   * @returns [B, 1, T stride, out]
   */
  override forward(x: tf.Tensor, { history }: SignalContext = {}): tf.Tensor {
    return tf.tidy(() => {
      const y = super.forward(history ? history.join(this, x, 1) : x)
      const from = history ? this.#stride : this.#cut
      return tf.slice(y, [0, 0, from, 0], [-1, -1, x.shape[2]! * this.#stride, -1])
    })
  }
}

/** Uniform with variance 1 / inputs, where so many numbers are added for each output. */
function keepsVariance(inputs: number): Initialiser {
  const bound = Math.sqrt(3 / inputs)
  return (shape, _fan, key) => key.uniform(shape, { min: -bound, max: bound })
}

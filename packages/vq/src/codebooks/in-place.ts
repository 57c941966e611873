import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, lookup, requireInteger, stopGradient, valueAndGradients } from '@x/core-gpu'
import type { Assigned, Codebook } from './codebook.ts'

export interface InPlaceOptions {
  /** step size of the inner descent; the loss is a mean over all elements, so large ones (50) are usual; default 50 */
  readonly learningRate?: number
  /** inner steps for each training step; default 1 */
  readonly steps?: number
}

/**
 * Optimises a codebook inside the training step, alternating with the optimizer of everything else: after vectors have taken
 * codes, some steps of gradient descent on `mse(q, sg[z])`. arXiv 2305.08842, section 4.2
 *
 * The codes keep their names in the state, but are no parameters: the outer optimizer leaves them alone.
 */
export class InPlaceCodebook extends BaseModule implements Codebook {
  readonly size: number
  readonly dim: number
  /** the codebook that is optimised */
  readonly inner: Codebook
  readonly #learningRate: number
  readonly #steps: number

  /**
   * @throws TypeError when there is nothing to optimise
   * @throws RangeError when an option is out of range
   */
  constructor(inner: Codebook, options: InPlaceOptions = {}) {
    super()
    const { learningRate = 50, steps = 1 } = options
    if (!(learningRate > 0)) throw new RangeError(`learningRate: expected a number > 0, got ${learningRate}`)
    requireInteger('steps', steps, 1)
    if (Object.keys(inner.parameters()).length === 0)
      throw new TypeError('inner: expected a codebook that learns by gradient')
    this.size = inner.size
    this.dim = inner.dim
    this.inner = inner
    this.#learningRate = learningRate
    this.#steps = steps
  }

  override parameters(): Record<string, tf.Variable> {
    return {}
  }

  codes(): tf.Tensor2D {
    return tf.tidy(() => stopGradient(this.inner.codes()))
  }

  observe(z: tf.Tensor2D, counts: tf.Tensor1D | null): void {
    this.inner.observe?.(z, counts)
  }

  learn({ z, indices }: Assigned): void {
    const parameters = this.inner.parameters()
    for (let step = 0; step < this.#steps; step++) {
      tf.tidy(() => {
        const { loss, gradients } = valueAndGradients(parameters, () => ({ loss: this.#error(z, indices) }))
        for (const [name, gradient] of Object.entries(gradients)) {
          const parameter = parameters[name]!
          parameter.assign(tf.sub(parameter, tf.mul(this.#learningRate, gradient)))
        }
        tf.dispose([loss, gradients])
      })
    }
  }

  place(means: tf.Tensor2D, counts: tf.Tensor1D): void {
    if (!this.inner.place) throw new TypeError('start: this codebook cannot be placed from data')
    this.inner.place(means, counts)
  }

  replace(expired: tf.Tensor1D, rows: tf.Tensor2D, hits: number): void {
    if (!this.inner.replace) throw new TypeError('revive: this codebook has no codes that can be replaced')
    this.inner.replace(expired, rows, hits)
  }

  /** mse(q, z) over the vectors that count. */
  #error(z: tf.Tensor2D, indices: tf.Tensor1D): tf.Scalar {
    const counts = tf.cast(tf.greaterEqual(indices, tf.scalar(0, 'int32')), 'float32') // [N]
    const q = lookup(this.inner.codes(), tf.maximum(indices, tf.scalar(0, 'int32'))) // [N, d]
    const squares = tf.mul(tf.square(tf.sub(q, stopGradient(z))), tf.expandDims(counts, 1))
    return tf.div(tf.sum(squares), tf.maximum(tf.mul(tf.sum(counts), this.dim), 1))
  }
}

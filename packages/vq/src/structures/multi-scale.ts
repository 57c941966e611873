import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  Conv2d,
  type Key,
  requireFinite,
  requireInteger,
  requireLastDimension,
  requireShape,
  stopGradient,
} from '@x/core-gpu'
import { requireIndices } from '../indices.ts'
import type { Pass, Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'
import { averaging, interpolating, resample, type Resampling } from './resample.ts'

export interface MultiScaleOptions {
  /** sides of the code images, from coarse to fine, such as `[1, 2, 4, 8]` */
  readonly scales: readonly number[]
  /** height and width of what is quantized; default: the last scale's */
  readonly size?: [number, number] | undefined
  /** share r of the convolution in what smooths an enlarged code image; 0 leaves it out; default 0.5 */
  readonly smoothing?: number
  /** how many different convolutions the scales share among them; default 1 */
  readonly convolutions?: number
  /** draws the convolutions */
  readonly key: Key
}

interface Scale {
  readonly side: number
  readonly down: readonly [Resampling, Resampling]
  readonly up: readonly [Resampling, Resampling]
  readonly smooth: Conv2d | undefined
}

/**
 * Quantizes an image scale by scale: the coarsest first, each finer one what the ones before left over, all with one codebook.
 * arXiv 2404.02905, algorithms 1 and 2
 *
 *     q_s = Q(average of r_s to s x s),   h_s = (1 - r) u + r conv(u) with u = q_s enlarged,   r_{s+1} = r_s - h_s
 *
 * Takes `[..., H, W, d]`; indices are int32 `[..., L]`, scale after scale and row after row, L the sum of s^2. A mask says
 * which images count, `[...]`. The gradient passes from the input to the sum of the h_s once; the convolutions get theirs
 * from it too. Terms are called `scales.<s>.<name>`, and their mean over scales is taken. Running codes learn once a step.
 */
export class MultiScaleQuantizer extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks = 1
  readonly inner: Quantizer
  readonly smooth: readonly Conv2d[]
  readonly #size: readonly [number, number]
  readonly #smoothing: number
  readonly #scales: readonly Scale[]

  /** @throws RangeError for scales that do not rise, or a quantizer of several codebooks */
  constructor(inner: Quantizer, options: MultiScaleOptions) {
    super()
    const { scales, smoothing = 0.5, convolutions = 1, key } = options
    requireRising(scales)
    requireInteger('convolutions', convolutions, 1)
    if (!(smoothing >= 0 && smoothing <= 1)) throw new RangeError(`smoothing: expected 0 to 1, got ${smoothing}`)
    if (inner.codebooks !== 1) throw new RangeError(`inner: expected one codebook, got ${inner.codebooks}`)
    const last = scales.at(-1)!
    const [height, width] = options.size ?? [last, last]
    requireInteger('size', Math.min(height, width), 1)
    this.dim = inner.dim
    this.codebookSize = inner.codebookSize
    this.inner = inner
    this.#size = [height, width]
    this.#smoothing = smoothing
    const count = smoothing === 0 ? 0 : Math.min(convolutions, scales.length)
    this.smooth = Array.from(
      { length: count },
      (_, i) => new Conv2d(inner.dim, inner.dim, { kernelSize: 3, padding: 1, key: key.fold(i) }),
    )
    this.#scales = scales.map((side, s) => ({
      side,
      down: [averaging(height, side), averaging(width, side)],
      up: [interpolating(side, height), interpolating(side, width)],
      smooth: this.smooth[Math.round((s / Math.max(scales.length - 1, 1)) * (count - 1))],
    }))
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    const lead = z.shape.slice(0, -3)
    requireShape('z', z, [...lead, ...this.#size, this.dim])
    requireFinite('z', z)
    const { training = false, key, mask, freeze = false } = options
    if (mask) requireShape('mask', mask, lead)
    return tf.tidy(() => {
      const images = tf.reshape<tf.Rank.R4>(z, [-1, ...this.#size, this.dim]) // [B, H, W, d]
      const counts = mask && tf.reshape(tf.cast(mask, 'float32'), [-1, 1, 1]) // [B, 1, 1]
      const terms: Record<string, tf.Scalar> = {}
      const passes: Pass[] = []
      const chosen: tf.Tensor[] = []
      let left = images
      let total: tf.Tensor4D | undefined
      this.#scales.forEach((scale, s) => {
        const small = resample(left, ...scale.down) // [B, s, s, d]
        const out = this.inner.quantize(small, {
          training,
          freeze: true,
          ...(key && { key: key.fold(s) }),
          ...(counts && { mask: tf.tile(counts, [1, scale.side, scale.side]) }),
        })
        passes.push({ z: stopGradient(small), indices: out.indices })
        chosen.push(tf.reshape(out.indices, [-1, scale.side ** 2]))
        for (const [name, term] of Object.entries(out.terms))
          terms[`scales.${s}.${name}`] = tf.div(term, this.#scales.length)
        const full = this.#enlarged(stopGradient(out.quantized) as tf.Tensor4D, scale) // [B, H, W, d]
        left = tf.sub(left, stopGradient(full))
        total = total ? tf.add(total, full) : full
      })
      if (training && !freeze) this.inner.learn?.(passes, key?.fold(this.#scales.length))
      const indices = tf.concat(chosen, 1) // [B, L]
      // Nothing is added but the gradient.
      const value = tf.add(total!, tf.sub(images, stopGradient(images)))
      return {
        quantized: tf.reshape(this.#kept(value, indices), z.shape),
        indices: tf.reshape(indices, [...lead, indices.shape[1]!]),
        loss: Object.values(terms).reduce<tf.Scalar>((sum, term) => tf.add(sum, term), tf.scalar(0)),
        terms,
      }
    })
  }

  /** @param indices int32 `[..., L]` @returns `[..., H, W, d]`, of the size that was quantized */
  decode(indices: tf.Tensor): tf.Tensor {
    requireIndices('indices', indices, this.codebookSize)
    const lengths = this.#scales.map(({ side }) => side ** 2)
    requireLastDimension(
      'indices',
      indices,
      lengths.reduce((a, b) => a + b),
    )
    return tf.tidy(() => {
      const flat = tf.reshape<tf.Rank.R2>(indices, [-1, indices.shape.at(-1)!])
      const total = tf
        .split(flat, lengths, 1)
        .map((part, s) => {
          const scale = this.#scales[s]!
          const codes = this.inner.decode(tf.reshape(part, [-1, scale.side, scale.side]))
          return this.#enlarged(codes as tf.Tensor4D, scale)
        })
        .reduce((sum, full) => tf.add(sum, full))
      return tf.reshape(this.#kept(total, flat), [...indices.shape.slice(0, -1), ...this.#size, this.dim])
    })
  }

  codebook(): tf.Tensor {
    return this.inner.codebook()
  }

  #enlarged(codes: tf.Tensor4D, { up, smooth }: Scale): tf.Tensor4D {
    const full = resample(codes, ...up)
    if (!smooth) return full
    return tf.add(tf.mul(full, 1 - this.#smoothing), tf.mul(smooth.forward(full), this.#smoothing))
  }

  /** Zeros for images that do not count: a convolution's bias would show there. */
  #kept(images: tf.Tensor, indices: tf.Tensor): tf.Tensor {
    const first = tf.slice(indices, [0, 0], [-1, 1])
    const kept = tf.cast(tf.greaterEqual(first, tf.scalar(0, 'int32')), 'float32')
    return tf.mul(images, tf.reshape(kept, [-1, 1, 1, 1]))
  }
}

function requireRising(scales: readonly number[]): void {
  if (scales.length === 0) throw new RangeError('scales: expected at least one, got none')
  scales.forEach((side, s) => {
    requireInteger(`scales.${s}`, side, 1)
    if (s > 0 && side <= scales[s - 1]!)
      throw new RangeError(`scales: expected them to rise, got [${scales.join(', ')}]`)
  })
}

import * as tf from '@tensorflow/tfjs-core'
import { checkOptions, integer, integers, numberFrom, requireShape, requireTensor } from '@x/core-gpu'
import * as v from 'valibot'
import { melFilters, type MelScale } from './mel.ts'

export interface SpectralDistanceOptions {
  /** lengths of the windows in samples, multiples of 4; each moves by a quarter of itself */
  readonly windows: readonly number[]
  /** compares mel bands instead of single frequencies; default: no */
  readonly mel?: SpectralMelOptions | undefined
  /** weight of the absolute difference of magnitudes; default 1 */
  readonly linear?: number
  /** weight of the absolute difference of their natural logarithms; default 1 */
  readonly log?: number
  /** added to magnitudes, so that silence has a logarithm; default 1e-5 */
  readonly epsilon?: number
}

export interface SpectralMelOptions {
  /** in Hz */
  readonly sampleRate: number
  /** how many bands, for all windows or for each */
  readonly filters: number | readonly number[]
  /** default `htk` */
  readonly scale?: MelScale
}

const schema = v.object({
  windows: integers(4),
  mel: v.optional(
    v.strictObject({
      sampleRate: numberFrom(1),
      filters: v.union([integer(1), integers(1)]),
      scale: v.optional(v.picklist(['htk', 'slaney'])),
    }),
  ),
  linear: v.optional(numberFrom(0), 1),
  log: v.optional(numberFrom(0), 1),
  epsilon: v.optional(numberFrom(Number.MIN_VALUE), 1e-5),
})

/**
 * How far apart two signals' magnitude spectra are, over windows of several lengths.
 * arXiv 2107.03312 and 2306.06546, with the normalised windows of arXiv 2210.13438
 *
 * The transform is a product with the windowed waves as a matrix of real numbers, so that it has gradients on every
 * backend. It keeps those matrices: dispose of it when done.
 */
export class SpectralDistance {
  readonly #scales: readonly SpectralScale[]
  readonly #linear: number
  readonly #log: number
  readonly #epsilon: number

  /** @throws RangeError or TypeError naming the option that is wrong */
  constructor(options: SpectralDistanceOptions) {
    const { windows, mel, linear, log, epsilon } = checkOptions(schema, options)
    const odd = windows.find((window) => window % 4 !== 0)
    if (odd !== undefined) throw new RangeError(`windows: expected multiples of 4, got ${odd}`)
    if (typeof mel?.filters === 'object' && mel.filters.length !== windows.length)
      throw new RangeError(`mel.filters: expected ${windows.length} numbers, one per window, got ${mel.filters.length}`)
    this.#linear = linear
    this.#log = log
    this.#epsilon = epsilon
    this.#scales = windows.map((window, i) => {
      const filters = typeof mel?.filters === 'object' ? mel.filters[i] : mel?.filters
      const bands = mel && { sampleRate: mel.sampleRate, filters: filters!, ...(mel.scale && { scale: mel.scale }) }
      return new SpectralScale(window, bands)
    })
  }

  /**
   * The mean over windows of the weighted mean differences.
   * @param x signals, [B, T, C]
   * @param y signals, [B, T, C]
   * @returns a scalar with gradients towards both
   * @throws RangeError when the shapes differ
   */
  between(x: tf.Tensor, y: tf.Tensor): tf.Scalar {
    requireShape('x', x, [null, null, null])
    requireShape('y', y, x.shape)
    return tf.tidy(() => {
      const distances = this.#scales.map((scale) => {
        const [a, b] = [scale.magnitudes(x, this.#epsilon), scale.magnitudes(y, this.#epsilon)]
        const linear = tf.mul(tf.mean(tf.abs(tf.sub(a, b))), this.#linear)
        const log = tf.mul(tf.mean(tf.abs(tf.sub(tf.log(a), tf.log(b)))), this.#log)
        return tf.add(linear, log)
      })
      return tf.div(tf.addN(distances), distances.length)
    })
  }

  /**
   * The magnitudes that are compared, in each window's frames, `epsilon` included.
   * @param x signals, [B, T, C]
   * @returns for each window [B C, frames, frequencies or bands]
   */
  spectra(x: tf.Tensor): tf.Tensor[] {
    requireTensor('x', x)
    requireShape('x', x, [null, null, null])
    return this.#scales.map((scale) => scale.magnitudes(x, this.#epsilon))
  }

  dispose(): void {
    for (const scale of this.#scales) scale.dispose()
  }
}

/** One length of window. */
class SpectralScale {
  readonly #window: number
  /** [window, 2 bins]: cosines, then sines, under the window */
  readonly #waves: tf.Tensor2D
  /** [bins, filters] */
  readonly #mel: tf.Tensor2D | undefined

  constructor(window: number, mel: { sampleRate: number; filters: number; scale?: MelScale } | undefined) {
    const bins = window / 2 + 1
    this.#window = window
    const bands = mel && melFilters({ ...mel, bins })
    this.#waves = tf.keep(tf.tensor2d(windowedWaves(window), [window, 2 * bins]))
    this.#mel = bands && tf.keep(tf.tensor2d(bands, [bins, mel.filters]))
  }

  magnitudes(x: tf.Tensor, epsilon: number): tf.Tensor {
    return tf.tidy(() => {
      const frames = this.#frames(x) // [N, frames, window]
      const [n, count] = frames.shape
      const bins = this.#window / 2 + 1
      const flat = tf.reshape<tf.Rank.R2>(frames, [-1, this.#window])
      const [real, imaginary] = tf.split(tf.matMul(flat, this.#waves), 2, 1) as [tf.Tensor, tf.Tensor]
      // The square inside keeps the root's gradient finite in silence.
      const power = tf.add(tf.add(tf.square(real), tf.square(imaginary)), epsilon ** 2)
      const magnitude = tf.sqrt(power) as tf.Tensor2D // [N frames, bins]
      if (!this.#mel) return tf.reshape(magnitude, [n, count, bins])
      const bands = tf.matMul(magnitude, this.#mel)
      return tf.reshape(tf.add(bands, epsilon), [n, count, this.#mel.shape[1]])
    })
  }

  /** Every sample is in four frames: zeros stand on either side of the signal. */
  #frames(x: tf.Tensor): tf.Tensor3D {
    const [batch, length, channels] = x.shape as [number, number, number]
    const hop = this.#window / 4
    const blocks = Math.ceil(length / hop)
    const rows = tf.reshape(tf.transpose(x, [0, 2, 1]), [batch * channels, length]) // [N, T]
    const before = this.#window - hop
    const padded = tf.pad(rows, [[0, 0], [before, before + blocks * hop - length]]) // prettier-ignore
    const parts = tf.reshape<tf.Rank.R3>(padded, [batch * channels, blocks + 6, hop])
    const quarter = (q: number): tf.Tensor3D => tf.slice(parts, [0, q, 0], [-1, blocks + 3, -1])
    return tf.concat([0, 1, 2, 3].map(quarter), 2)
  }

  dispose(): void {
    tf.dispose([this.#waves, ...(this.#mel ? [this.#mel] : [])])
  }
}

/** Cosines and sines of all frequencies under a periodic Hann window whose squares add up to 1, [window, 2 bins]. */
function windowedWaves(window: number): Float32Array {
  const bins = window / 2 + 1
  // The sum of the squares of a periodic Hann window is 3/8 of its length.
  const scale = 1 / Math.sqrt((3 * window) / 8)
  const cosine = Float64Array.from({ length: window }, (_, i) => Math.cos((2 * Math.PI * i) / window))
  const waves = new Float32Array(window * 2 * bins)
  for (let t = 0; t < window; t++) {
    const weight = scale * (0.5 - 0.5 * cosine[t]!)
    for (let k = 0; k < bins; k++) {
      const phase = (t * k) % window
      waves[t * 2 * bins + k] = weight * cosine[phase]!
      waves[t * 2 * bins + bins + k] = weight * cosine[(phase + (3 * window) / 4) % window]!
    }
  }
  return waves
}

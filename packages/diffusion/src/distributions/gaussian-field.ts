import * as tf from '@tensorflow/tfjs-core'
import { type Key, requireInteger, requireShape } from '@x/core-gpu'
import { alphaOf, type LogSnr, sigmaOf } from '../noise-level.ts'
import { type Distribution, requireLogSnr } from './distribution.ts'
import { symmetricEigen } from './symmetric-eigen.ts'

interface FieldSize {
  /** height and width in pixels */
  readonly size: readonly [number, number]
  /** drawn independently of one another; default 1 */
  readonly channels?: number
  /** of every pixel; default 0 */
  readonly mean?: number
}

export interface SpectralFieldOptions extends FieldSize {
  /** the variance of a wave with so many periods over the height and over the width, each at most half the pixels */
  readonly spectrum: (vertical: number, horizontal: number) => number
  /** of each pixel: the spectrum is scaled to it; default: the spectrum is taken as it is */
  readonly variance?: number
}

export interface CovarianceFieldOptions extends FieldSize {
  /** between all pixels, row by row, `[h w, h w]` row-major; positive semi-definite */
  readonly covariance: ArrayLike<number>
}

export type GaussianFieldOptions = SpectralFieldOptions | CovarianceFieldOptions

/** A Gaussian distribution over images `[h, w, c]`; it takes no conditions. */
export interface GaussianField extends Distribution {
  readonly shape: readonly [number, number, number]
  sample(n: number, key: Key): tf.Tensor4D
  /** covariances of the first pixel with every pixel of its channel, `[h w]` */
  autocovariance(): Float64Array
  /**
   * The field of means over blocks of `scale` by `scale` pixels, which is what images of low resolution are.
   * @throws RangeError unless the size is divisible by it
   */
  pooled(scale: number): GaussianField
}

/**
 * A Gaussian random field over images, periodic with a given spectrum or with a given covariance, and its exact denoiser.
 *
 * All is done in the covariance's eigenvectors, for a spectrum two small products with real Fourier matrices.
 * @throws RangeError naming what is negative, not finite or of a wrong size
 */
export function gaussianField(options: GaussianFieldOptions): GaussianField {
  const { size, channels = 1, mean = 0 } = options
  requireInteger('size[0]', size[0], 1)
  requireInteger('size[1]', size[1], 1)
  requireInteger('channels', channels, 1)
  if (!Number.isFinite(mean)) throw new RangeError(`mean: expected a finite number, got ${String(mean)}`)
  const rest = { size, channels, mean }
  return 'spectrum' in options
    ? new ModalField(rest, spectralModes(options))
    : new ModalField(rest, covarianceModes(size, options.covariance))
}

/** Eigenvectors that span images, and the variance along each. */
interface Modes {
  /** `[h w]`, in the order of the modes */
  readonly variances: Float64Array
  /** rows are eigenvectors: all together `[h w, h w]`, or those of columns `[h, h]` and of rows `[w, w]`, modes in order [w, h] */
  readonly basis: { readonly all: Float64Array } | { readonly columns: Float64Array; readonly rows: Float64Array }
}

class ModalField implements GaussianField {
  readonly shape: readonly [number, number, number]
  readonly #given: Required<FieldSize>
  readonly #modes: Modes
  readonly #basis: readonly tf.Tensor2D[]

  constructor(given: Required<FieldSize>, modes: Modes) {
    const [h, w] = given.size
    this.shape = [h, w, given.channels]
    this.#given = given
    this.#modes = modes
    const { basis } = modes
    this.#basis =
      'all' in basis
        ? [tf.keep(tf.tensor2d(Float32Array.from(basis.all), [h * w, h * w]))]
        : [
            tf.keep(tf.tensor2d(Float32Array.from(basis.columns), [h, h])),
            tf.keep(tf.tensor2d(Float32Array.from(basis.rows), [w, w])),
          ]
  }

  readonly denoise = (x: tf.Tensor, logSnr: LogSnr): tf.Tensor => {
    this.#require(x, logSnr)
    const [alpha, noise] = [alphaOf(logSnr), sigmaOf(logSnr) ** 2]
    const gains = this.#modes.variances.map((s) => (s === 0 ? 0 : (alpha * s) / (alpha * alpha * s + noise)))
    const { mean } = this.#given
    return tf.tidy(() => {
      const modes = this.#toModes(tf.sub(x, alpha * mean))
      return tf.add(mean, this.#fromModes(tf.mul(modes, row(gains)), x.shape))
    })
  }

  logDensity(x: tf.Tensor, logSnr: LogSnr): tf.Tensor1D {
    this.#require(x, logSnr)
    const [alpha, noise] = [alphaOf(logSnr), sigmaOf(logSnr) ** 2]
    const spreads = this.#modes.variances.map((s) => alpha * alpha * s + noise)
    if (!spreads.every((spread) => spread > 0))
      throw new RangeError(`logSnr: expected a level with noise, for a field of less than full rank, got ${logSnr}`)
    const constant = spreads.reduce((sum, spread) => sum + Math.log(2 * Math.PI * spread), 0) * this.shape[2]
    return tf.tidy(() => {
      const modes = this.#toModes(tf.sub(x, alpha * this.#given.mean))
      const distance = tf.sum(tf.div(tf.square(modes), row(spreads)), 1) // [B c]
      const each = tf.sum(tf.reshape(distance, [x.shape[0]!, this.shape[2]]), 1)
      return tf.mul(-0.5, tf.add(each, constant))
    })
  }

  sample(n: number, key: Key): tf.Tensor4D {
    requireInteger('n', n, 1)
    const shape: [number, number, number, number] = [n, ...this.shape]
    const pixels = this.#modes.variances.length
    return tf.tidy(() => {
      const modes = key.normal([n * this.shape[2], pixels])
      const images = this.#fromModes(tf.mul(modes, row(this.#modes.variances.map(Math.sqrt))), shape)
      return tf.add(this.#given.mean, images) as tf.Tensor4D
    })
  }

  autocovariance(): Float64Array {
    return this.#covarianceRow(0)
  }

  pooled(scale: number): GaussianField {
    requireInteger('scale', scale, 1)
    const [h, w] = this.#given.size
    if (h % scale !== 0 || w % scale !== 0)
      throw new RangeError(`scale: expected a divisor of ${h} and ${w}, got ${scale}`)
    const size = [h / scale, w / scale] as const
    return new ModalField({ ...this.#given, size }, this.#pooledModes(scale, size))
  }

  dispose(): void {
    tf.dispose(this.#basis as tf.Tensor[])
  }

  #require(x: tf.Tensor, logSnr: LogSnr): void {
    requireShape('x', x, [null, ...this.shape])
    requireLogSnr('logSnr', logSnr)
  }

  /** Images `[B, h, w, c]` to their modes `[B c, h w]`. */
  #toModes(x: tf.Tensor): tf.Tensor2D {
    const [h, w, c] = this.shape
    const pixels = tf.reshape(x, [-1, h * w, c])
    const planes = c === 1 ? pixels : tf.transpose(pixels, [0, 2, 1]) // [B, c, h w]
    const [first, second] = this.#basis as [tf.Tensor2D, tf.Tensor2D?]
    if (!second) return tf.matMul(tf.reshape(planes, [-1, h * w]) as tf.Tensor2D, first, false, true)
    const along = tf.matMul(tf.reshape(planes, [-1, w]) as tf.Tensor2D, second, false, true) // [B c h, w]
    const turned = tf.transpose(tf.reshape(along, [-1, h, w]), [0, 2, 1])
    return tf.reshape(tf.matMul(tf.reshape(turned, [-1, h]) as tf.Tensor2D, first, false, true), [-1, w * h])
  }

  #fromModes(modes: tf.Tensor, shape: number[]): tf.Tensor {
    const [h, w, c] = this.shape
    const [first, second] = this.#basis as [tf.Tensor2D, tf.Tensor2D?]
    let planes: tf.Tensor
    if (second) {
      const along = tf.matMul(tf.reshape(modes, [-1, h]) as tf.Tensor2D, first) // [B c w, h]
      const turned = tf.transpose(tf.reshape(along, [-1, w, h]), [0, 2, 1])
      planes = tf.matMul(tf.reshape(turned, [-1, w]) as tf.Tensor2D, second)
    } else planes = tf.matMul(modes as tf.Tensor2D, first)
    const pixels = c === 1 ? planes : tf.transpose(tf.reshape(planes, [-1, c, h * w]), [0, 2, 1])
    return tf.reshape(pixels, shape)
  }

  /** Covariances of one pixel with all, `[h w]`. */
  #covarianceRow(pixel: number): Float64Array {
    const [h, w] = this.#given.size
    const { basis, variances } = this.#modes
    const n = h * w
    const out = new Float64Array(n)
    const component = (mode: number, at: number): number => {
      if ('all' in basis) return basis.all[mode * n + at]!
      const [column, rowMode] = [mode % h, Math.floor(mode / h)]
      return basis.columns[column * h + Math.floor(at / w)]! * basis.rows[rowMode * w + (at % w)]!
    }
    variances.forEach((variance, mode) => {
      const weight = variance * component(mode, pixel)
      for (let at = 0; at < n; at++) out[at]! += weight * component(mode, at)
    })
    return out
  }

  #pooledModes(scale: number, size: readonly [number, number]): Modes {
    const [h, w] = this.#given.size
    const { basis, variances } = this.#modes
    if ('columns' in basis) {
      // Pooled waves stay waves, several on one: each low mode gathers the share of all that fall on it.
      const [fromColumns, fromRows] = [shares(basis.columns, h, scale), shares(basis.rows, w, scale)]
      const low = new Float64Array(size[0] * size[1])
      for (let x = 0; x < size[1]; x++)
        for (let y = 0; y < size[0]; y++)
          for (let u = 0; u < w; u++)
            for (let v = 0; v < h; v++)
              low[x * size[0] + y]! += fromRows[x * w + u]! * fromColumns[y * h + v]! * variances[u * h + v]!
      return { variances: low, basis: { columns: realFourier(size[0]).matrix, rows: realFourier(size[1]).matrix } }
    }
    const pixels = size[0] * size[1]
    const covariance = new Float64Array(pixels * pixels)
    const blockOf = (at: number): number =>
      Math.floor(Math.floor(at / w) / scale) * size[1] + Math.floor((at % w) / scale)
    for (let a = 0; a < h * w; a++)
      this.#covarianceRow(a).forEach((value, b) => {
        covariance[blockOf(a) * pixels + blockOf(b)]! += value / scale ** 4
      })
    return covarianceModes(size, covariance)
  }
}

/** How much of each wave over n pixels falls on each wave over n / scale means of them, squared: `[n / scale, n]`. */
function shares(waves: Float64Array, n: number, scale: number): Float64Array {
  const low = n / scale
  const { matrix } = realFourier(low)
  const out = new Float64Array(low * n)
  for (let k = 0; k < low; k++)
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let at = 0; at < n; at++) sum += matrix[k * low + Math.floor(at / scale)]! * waves[j * n + at]!
      out[k * n + j] = (sum / scale) ** 2
    }
  return out
}

function row(values: Float64Array): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(values), [1, values.length])
}

function spectralModes({ size: [h, w], spectrum, variance }: SpectralFieldOptions): Modes {
  const [columns, rows] = [realFourier(h), realFourier(w)]
  const variances = new Float64Array(h * w)
  rows.periods.forEach((horizontal, x) =>
    columns.periods.forEach((vertical, y) => {
      const value = spectrum(vertical, horizontal)
      if (!(value >= 0 && value < Infinity))
        throw new RangeError(`spectrum: expected numbers >= 0, got ${String(value)} for ${vertical}, ${horizontal}`)
      variances[x * h + y] = value
    }),
  )
  const basis = { columns: columns.matrix, rows: rows.matrix }
  if (variance === undefined) return { variances, basis }
  if (!(variance > 0 && variance < Infinity))
    throw new RangeError(`variance: expected a number > 0, got ${String(variance)}`)
  const average = variances.reduce((a, b) => a + b, 0) / (h * w)
  if (average === 0) throw new RangeError('spectrum: expected one that is not 0 everywhere')
  return { variances: variances.map((value) => (value * variance) / average), basis }
}

function covarianceModes([h, w]: readonly [number, number], covariance: ArrayLike<number>): Modes {
  const n = h * w
  if (covariance.length !== n * n)
    throw new RangeError(`covariance: expected ${n} x ${n} numbers, got ${covariance.length}`)
  const { values, vectors } = symmetricEigen('covariance', covariance)
  const greatest = values.reduce((most, value) => Math.max(most, value), 0)
  const least = values.reduce((some, value) => Math.min(some, value), 0)
  if (least < -1e-9 * greatest)
    throw new RangeError(`covariance: expected a positive semi-definite matrix, got eigenvalue ${least}`)
  const all = new Float64Array(n * n)
  for (let mode = 0; mode < n; mode++) for (let at = 0; at < n; at++) all[mode * n + at] = vectors[at * n + mode]!
  return { variances: values.map((value) => Math.max(0, value)), basis: { all } }
}

/** Orthonormal cosines and sines over n places, in rows `[n, n]`, and how many periods each has. */
function realFourier(n: number): { matrix: Float64Array; periods: number[] } {
  const matrix = new Float64Array(n * n)
  const periods = Array.from({ length: n }, (_, k) => Math.ceil(k / 2))
  periods.forEach((period, k) => {
    const single = period === 0 || 2 * period === n
    const size = Math.sqrt((single ? 1 : 2) / n)
    for (let at = 0; at < n; at++) {
      const angle = (2 * Math.PI * ((period * at) % n)) / n
      matrix[k * n + at] = size * (k % 2 === 1 || single ? Math.cos(angle) : Math.sin(angle))
    }
  })
  return { matrix, periods }
}

import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, variable } from '@x/core-gpu'
import type { Assigned, Codebook } from './codebook.ts'

export interface AffineCodebookOptions {
  /** how fast scale and shift learn beside the codes: both are multiplied by it; default 1 */
  readonly rate?: number
}

/**
 * All codes share a trained scale and shift, so that every step moves every code. arXiv 2305.08842
 *
 *     c = (1 + rate p) e + rate b
 */
export class AffineCodebook extends BaseModule implements Codebook {
  readonly size: number
  readonly dim: number
  /** the codes under the map */
  readonly inner: Codebook
  /** p, `[d]`, starts at 0 */
  readonly scale: tf.Variable
  /** b, `[d]`, starts at 0 */
  readonly shift: tf.Variable
  readonly learn?: Codebook['learn']
  readonly place?: Codebook['place']
  readonly replace?: Codebook['replace']
  readonly #rate: number

  /** @throws RangeError when the rate is not above 0 */
  constructor(inner: Codebook, options: AffineCodebookOptions = {}) {
    super()
    const { rate = 1 } = options
    if (!(rate > 0)) throw new RangeError(`rate: expected a number > 0, got ${rate}`)
    this.size = inner.size
    this.dim = inner.dim
    this.inner = inner
    this.scale = variable(tf.zeros([inner.dim]))
    this.shift = variable(tf.zeros([inner.dim]))
    this.#rate = rate
    Object.assign(
      this,
      within(inner, (rows) => this.#back(rows)),
    )
  }

  codes(): tf.Tensor2D {
    return tf.tidy(() => {
      const scale = tf.add(1, tf.mul(this.#rate, this.scale)) // [d]
      return tf.add(tf.mul(this.inner.codes(), scale), tf.mul(this.#rate, this.shift))
    })
  }

  #back(rows: tf.Tensor2D): tf.Tensor2D {
    const scale = tf.add(1, tf.mul(this.#rate, this.scale))
    return tf.div(tf.sub(rows, tf.mul(this.#rate, this.shift)), scale)
  }
}

export interface RunningAffineCodebookOptions {
  /** how much of the vectors' statistics a step keeps; default 0.99 */
  readonly batchDecay?: number
  /** how much of the codes' statistics a step keeps; default 0.9 */
  readonly codebookDecay?: number
}

/**
 * Codes are moved and scaled to where the vectors are, by running means and variances of both. arXiv 2305.08842
 *
 *     c = (e - mu_E) sigma_z / sigma_E + mu_z
 *
 * Only training steps count: outside them the statistics stay as they are, and before the first one codes are as made.
 */
export class RunningAffineCodebook extends BaseModule implements Codebook {
  readonly size: number
  readonly dim: number
  /** the codes under the map */
  readonly inner: Codebook
  /** `[d]` each */
  readonly batchMean: tf.Variable
  readonly batchVariance: tf.Variable
  readonly codebookMean: tf.Variable
  readonly codebookVariance: tf.Variable
  /** 1 once a training step has been seen */
  readonly seen: tf.Variable
  readonly learn?: Codebook['learn']
  readonly place?: Codebook['place']
  readonly replace?: Codebook['replace']
  readonly #batchDecay: number
  readonly #codebookDecay: number

  /** @throws RangeError when a decay is out of range */
  constructor(inner: Codebook, options: RunningAffineCodebookOptions = {}) {
    super()
    const { batchDecay = 0.99, codebookDecay = 0.9 } = options
    for (const [name, decay] of Object.entries({ batchDecay, codebookDecay }))
      if (!(decay >= 0 && decay < 1)) throw new RangeError(`${name}: expected a number in [0, 1), got ${decay}`)
    const buffer = (value: number): tf.Variable => variable(tf.fill([inner.dim], value), { trainable: false })
    this.size = inner.size
    this.dim = inner.dim
    this.inner = inner
    this.batchMean = buffer(0)
    this.batchVariance = buffer(1)
    this.codebookMean = buffer(0)
    this.codebookVariance = buffer(1)
    this.seen = variable(tf.scalar(0), { trainable: false })
    this.#batchDecay = batchDecay
    this.#codebookDecay = codebookDecay
    Object.assign(
      this,
      within(inner, (rows) => this.#back(rows)),
    )
  }

  codes(): tf.Tensor2D {
    return tf.tidy(() => {
      const centred = tf.sub(this.inner.codes(), this.codebookMean) // [K, d]
      return tf.add(tf.mul(centred, this.#ratio()), this.batchMean)
    })
  }

  observe(z: tf.Tensor2D, counts: tf.Tensor1D | null): void {
    tf.tidy(() => {
      const [vectors, codes] = [moments(z, counts), moments(this.inner.codes(), null)]
      const keep = (running: tf.Variable, now: tf.Tensor, decay: number): void => {
        const mixed = tf.add(tf.mul(decay, running), tf.mul(1 - decay, now))
        running.assign(tf.where(tf.greater(this.seen, 0), mixed, now))
      }
      keep(this.batchMean, vectors.mean, this.#batchDecay)
      keep(this.batchVariance, vectors.variance, this.#batchDecay)
      keep(this.codebookMean, codes.mean, this.#codebookDecay)
      keep(this.codebookVariance, codes.variance, this.#codebookDecay)
      this.seen.assign(tf.scalar(1))
    })
  }

  /** sigma_z / sigma_E, `[d]` */
  #ratio(): tf.Tensor {
    const deviation = (variance: tf.Variable): tf.Tensor => tf.sqrt(tf.maximum(variance, 1e-5))
    return tf.div(deviation(this.batchVariance), deviation(this.codebookVariance))
  }

  #back(rows: tf.Tensor2D): tf.Tensor2D {
    return tf.add(tf.div(tf.sub(rows, this.batchMean), this.#ratio()), this.codebookMean)
  }
}

/** The mean and the biased variance of each dimension, `[d]`, over rows `[N, d]` that count. */
function moments(rows: tf.Tensor2D, counts: tf.Tensor1D | null): { mean: tf.Tensor; variance: tf.Tensor } {
  const weights = tf.expandDims(counts ?? tf.ones([rows.shape[0]]), 1) // [N, 1]
  const total = tf.maximum(tf.sum(weights), 1)
  const mean = tf.div(tf.sum(tf.mul(rows, weights), 0), total)
  const variance = tf.div(tf.sum(tf.mul(tf.square(tf.sub(rows, mean)), weights), 0), total)
  return { mean, variance }
}

/** What the codes under a map learn by, each vector taken back through the map; only what these codes can do. */
function within(
  inner: Codebook,
  back: (rows: tf.Tensor2D) => tf.Tensor2D,
): Pick<Codebook, 'learn' | 'place' | 'replace'> {
  return {
    ...(inner.learn && {
      learn: ({ z, indices }: Assigned) => tf.tidy(() => inner.learn!({ z: back(z), indices })),
    }),
    ...(inner.place && {
      place: (means: tf.Tensor2D, counts: tf.Tensor1D) => tf.tidy(() => inner.place!(back(means), counts)),
    }),
    ...(inner.replace && {
      replace: (expired: tf.Tensor1D, rows: tf.Tensor2D, hits: number) =>
        tf.tidy(() => inner.replace!(expired, back(rows), hits)),
    }),
  }
}

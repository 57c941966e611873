import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireInteger, requireTensor } from '@x/core-gpu'
import type { Denoiser, Guidance } from '../../denoiser.ts'
import { alphaOf, type LogSnr, sigmaOf } from '../../noise-level.ts'
import type { Schedule } from '../../schedule.ts'
import { type GuidanceWeight, requireWeight, weightAt } from '../weight.ts'

export interface UpsampleOptions<Condition = unknown> {
  /** a whole number from 2: how many pixels of the wanted image stand for one that the denoiser was trained on */
  readonly scale: number
  /** theta; 0 is no guidance; default 1 at all levels, where `heavisideWeight` is often better */
  readonly weight?: GuidanceWeight
  /** what denoises images of low resolution; default: the guided denoiser itself */
  readonly lowResolution?: Denoiser<Condition>
}

export interface HeavisideOptions {
  /** the weight in the noisy part */
  readonly theta: number
  /** the share of time, from noise, that is guided: 0 to 1 */
  readonly eta: number
  /** the schedule that time is counted by */
  readonly schedule: Schedule
}

/**
 * The weight theta while t >= 1 - eta, then 0: upsample guidance helps in the noisy part.
 * @throws RangeError for a theta that is not finite, or an eta outside [0, 1]
 */
export function heavisideWeight({ theta, eta, schedule }: HeavisideOptions): (logSnr: LogSnr) => number {
  requireFinite('theta', theta)
  if (!(eta >= 0 && eta <= 1)) throw new RangeError(`eta: expected 0 to 1, got ${String(eta)}`)
  const last = schedule(1 - eta)
  return (logSnr) => (logSnr <= last ? theta : 0)
}

/**
 * Upsample guidance (arXiv 2404.01709): lets a denoiser of low resolution make images `scale` times as large.
 *
 * The means over blocks of a noisy image are a noisy image of low resolution with `scale`^2 times the SNR. Divided by
 * sqrt(alpha^2 + sigma^2 / scale^2) it is variance preserving at logSNR + 2 ln scale, where the denoiser was trained to be
 * right. For the noise, as the paper writes it, eps + w U[main - D eps], with D the means over blocks, U their repetition
 * and main the low prediction over `scale`; for the clean sample the same reads x0 + w U[x0_low - D x0]: each block's mean
 * moves towards the low prediction. At weight 1 it is that prediction.
 *
 * Costs another call on images 1 / `scale`^2 the size where the weight is not 0.
 * @returns a guidance of denoisers over `[B, h, w, c]`, h and w divisible by `scale`
 * @throws RangeError for a scale that is no whole number from 2, or a weight that is not finite
 */
export function upsample<Condition = unknown>(options: UpsampleOptions<Condition>): Guidance<Condition> {
  const { scale, weight = 1, lowResolution } = options
  requireInteger('scale', scale, 2)
  requireWeight(weight)
  return (denoiser) => {
    const low = lowResolution ?? denoiser
    return (x, logSnr, condition) => {
      requireImages(x, scale)
      const w = weightAt(weight, logSnr)
      if (w === 0) return denoiser(x, logSnr, condition)
      return tf.tidy(() => {
        const high = denoiser(x, logSnr, condition)
        const power = alphaOf(logSnr) ** 2 + (sigmaOf(logSnr) / scale) ** 2
        const small = tf.div(blockMeans(x, scale), Math.sqrt(power))
        const main = low(small, logSnr + 2 * Math.log(scale), condition) // [B, h / s, w / s, c]
        const off = tf.sub(main, blockMeans(high, scale))
        return tf.add(high, tf.mul(w, repeatedBlocks(off, scale)))
      })
    }
  }
}

/** D: means over blocks of `scale` by `scale` pixels, `[B, h, w, c]` to `[B, h / s, w / s, c]`. */
function blockMeans(x: tf.Tensor, scale: number): tf.Tensor {
  const [b, h, w, c] = x.shape as [number, number, number, number]
  // Two sums over one dimension each: no tensor here has more than four.
  const down = tf.sum(tf.reshape(x, [(b * h) / scale, scale, w * c]), 1)
  const across = tf.sum(tf.reshape(down, [(b * h * w) / scale ** 2, scale, c]), 1)
  return tf.div(tf.reshape(across, [b, h / scale, w / scale, c]), scale * scale)
}

/** U: each pixel `scale` by `scale` times, `[B, h, w, c]` to `[B, h s, w s, c]`. */
function repeatedBlocks(x: tf.Tensor, scale: number): tf.Tensor {
  const [b, h, w, c] = x.shape as [number, number, number, number]
  const across = tf.tile(tf.reshape(x, [b * h * w, 1, c]), [1, scale, 1])
  const down = tf.tile(tf.reshape(across, [b * h, 1, w * scale * c]), [1, scale, 1])
  return tf.reshape(down, [b, h * scale, w * scale, c])
}

function requireImages(x: tf.Tensor, scale: number): void {
  requireTensor('x', x)
  const [, h, w] = x.shape
  if (x.rank !== 4 || h! % scale !== 0 || w! % scale !== 0)
    throw new RangeError(
      `x: expected images [B, h, w, c] with h and w divisible by ${scale}, got ${describeShape(x.shape)}`,
    )
}

function requireFinite(name: string, value: number): void {
  if (!Number.isFinite(value)) throw new RangeError(`${name}: expected a finite number, got ${String(value)}`)
}

import * as tf from '@tensorflow/tfjs-core'
import { type Key, key } from '@x/core-gpu'
import { alphaOf, type Denoiser, type GaussianField, gaussianField, type LogSnr, sigmaOf, upsample } from '@x/diffusion'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import type { RunSpec } from '../../../result.ts'
import { levels, metricOf } from './levels.ts'

const size = 16
const scale = 2
/** How much nearer to clean means over blocks are. */
const shift = 2 * Math.log(scale)

/** The denoisers that are compared, and the field that they denoise. */
interface Fields {
  readonly high: GaussianField
  readonly low: GaussianField
  readonly naive: GaussianField
}

function makeFields(): Fields {
  const high = gaussianField({
    size: [size, size],
    spectrum: (vertical, horizontal) => 1 / (vertical ** 2 + horizontal ** 2 + 1) ** 1.6,
    variance: 1,
  })
  const low = high.pooled(scale)
  return { high, low, naive: applied(low) }
}

/**
 * What a model of low resolution does to a larger image when it is equivariant to translations: it knows the covariances of
 * pixels by their distance, and none beyond its own board.
 */
function applied(low: GaussianField): GaussianField {
  const [board] = low.shape
  const covariance = low.autocovariance()
  const half = board / 2
  const distances = Array.from({ length: board + 1 }, (_, i) => i - half)
  // The greatest distance of an even board is one and the same in both directions.
  const share = (d: number): number => (Math.abs(d) === half ? 0.5 : 1)
  const wrapped = (d: number): number => (d + board) % board
  return gaussianField({
    size: [size, size],
    spectrum: (vertical, horizontal) => {
      const terms = distances.flatMap((dy) =>
        distances.map(
          (dx) =>
            share(dy) *
            share(dx) *
            covariance[wrapped(dy) * board + wrapped(dx)]! *
            Math.cos((2 * Math.PI * (vertical * dy + horizontal * dx)) / size),
        ),
      )
      return Math.max(
        0,
        terms.reduce((sum, term) => sum + term, 0),
      )
    },
  })
}

/** The noise in x that a denoiser leaves. */
function noiseOf(denoiser: Denoiser, x: tf.Tensor, level: LogSnr): tf.Tensor {
  return tf.tidy(() => tf.div(tf.sub(x, tf.mul(alphaOf(level), denoiser(x, level))), sigmaOf(level)))
}

/** A denoiser that takes what it is given for noise as another says. */
function byNoise(noise: (x: tf.Tensor, level: LogSnr) => tf.Tensor): Denoiser {
  return (x, level) => tf.tidy(() => tf.div(tf.sub(x, tf.mul(sigmaOf(level), noise(x, level))), alphaOf(level)))
}

/** @throws RangeError for an unknown method, or a part that guidance does not have */
function makeDenoiser({ method, params }: Pick<RunSpec, 'method' | 'params'>, { low, naive }: Fields): Denoiser {
  if (method === 'naive') return naive.denoise
  if (method !== 'upsample') throw new RangeError(`method: unknown "${method}"; known: naive, upsample`)
  const without: Record<string, Denoiser> = {
    nothing: low.denoise,
    // The noise as it is found at the level of the large image.
    tau: byNoise((x, tau) => noiseOf(low.denoise, x, tau - shift)),
    // The noise as it is found in means over blocks whose power is not made 1.
    P: byNoise((x, tau) => {
      const level = tau - shift
      const power = alphaOf(level) ** 2 + (sigmaOf(level) / scale) ** 2
      return noiseOf(low.denoise, tf.mul(x, Math.sqrt(power)), tau)
    }),
  }
  const lowResolution = without[String(params.without)]
  if (lowResolution === undefined)
    throw new RangeError(`without: unknown "${String(params.without)}"; known: ${Object.keys(without).join(', ')}`)
  return upsample({ scale, weight: Number(params.weight), lowResolution })(naive.denoise)
}

/** Denoises images of the field at every level and compares the noise with the exact one. */
export async function measureFields({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const device = await openBackend(run.backend)
  const images = run.quick ? 32 : 1024
  const [imageKey, noiseKey] = key(run.seed).split(2) as [Key, Key]
  const fields = makeFields()
  const denoiser = makeDenoiser(run, fields)
  const clean = fields.high.sample(images, imageKey)
  const noise = noiseKey.normal([images, size, size, 1])
  const errors: number[] = []
  for (const [i, level] of levels.entries()) {
    signal.throwIfAborted()
    const error = tf.tidy(() => {
      const x = tf.add(tf.mul(alphaOf(level), clean), tf.mul(sigmaOf(level), noise))
      const exact = noiseOf(fields.high.denoise, x, level)
      const off = tf.sum(tf.squaredDifference(noiseOf(denoiser, x, level), exact))
      return tf.div(off, tf.sum(tf.square(exact)))
    })
    errors.push((await error.data())[0]!)
    error.dispose()
    progress((i + 1) / levels.length, `logSNR ${level}`)
  }
  tf.dispose([clean, noise])
  for (const field of Object.values(fields) as GaussianField[]) field.dispose()
  return {
    metrics: Object.fromEntries(levels.map((level, i) => [metricOf(level), [errors[i]!]])),
    curves: {
      error: { title: 'error of the noise', unit: 'relative', by: 'logSNR', steps: [...levels], values: errors },
    },
    facts: { images, size, scale },
    device: { ...device.describe() },
  }
}

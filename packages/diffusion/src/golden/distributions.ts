import * as tf from '@tensorflow/tfjs-core'
import { countLeaks, expectGolden } from '@x/core-gpu/testing'
import { expect } from 'vitest'
import { type GaussianMixture, gaussianMixture } from '../distributions/gaussian-mixture.ts'
import { type GaussianField, gaussianField } from '../distributions/gaussian-field.ts'
import { rk4, step } from '../likelihood/runge-kutta.ts'
import { alphaOf, logSnrOfEdmSigma } from '../noise-level.ts'
import { type GoldenRecord, goldenRecord, numbersOf } from './golden.ts'
import { mixture, mixtureSigmas, mixtureStarts } from './mixture.ts'

/** The recorded mixture; components 0, 2 and 4 are labelled 0, the others 1. */
export function recordedMixture(): GaussianMixture {
  const { means, variances, weights } = mixture
  return gaussianMixture({ means, covariances: variances, weights, labels: means.map((_, k) => k % 2) })
}

/** The recorded Gaussian field of 8 by 8 pixels, or another size with its spectrum. */
export function recordedField(size: number = 8): GaussianField {
  return gaussianField({ size: [size, size], spectrum: (v, h) => 1 / (v * v + h * h + 1) ** 1.6, variance: 1 })
}

/** gmm/definition: the denoiser at recorded points and levels. */
export async function checkDenoiser({ expected }: GoldenRecord): Promise<void> {
  const exact = recordedMixture()
  const { x: points, ...levels } = expected['denoiserAt'] as Record<string, number[][]>
  for (const [name, values] of Object.entries(levels)) {
    const logSnr = logSnrOfEdmSigma(Number(name.slice('sigma'.length)))
    const x = tf.tensor2d(points!.map((point) => point.map((value) => alphaOf(logSnr) * value)))
    const denoised = exact.denoise(x, logSnr)
    // Close to data, x in float32 is as far off as this.
    await expectGolden(name, denoised, { shape: [4, 2], values: numbersOf(values) }, { abs: 3e-5, rel: 1e-5 })
    tf.dispose([x, denoised])
  }
  const x = tf.tensor2d(points!)
  expect(await countLeaks(() => exact.denoise(x, 0))).toBe(0)
  x.dispose()
  exact.dispose()
}

/** gmm/exact: the end of the probability flow from the recorded starts. */
export async function checkFlow({ id, params, expected }: GoldenRecord): Promise<void> {
  const exact = recordedMixture()
  const [from, to] = [logSnrOfEdmSigma(mixtureSigmas.max), logSnrOfEdmSigma(params['sigmaEnd'] as number)]
  let x = tf.tensor2d(mixtureStarts.map((start) => start.map((value) => alphaOf(from) * value))) as tf.Tensor
  const steps = 60
  for (let i = 0; i < steps; i++) {
    const [at, next] = [0, 1].map((j) => from + ((i + j) * (to - from)) / steps) as [number, number]
    const { state } = step(
      rk4,
      ([y], logSnr) => {
        const alpha = alphaOf(logSnr)
        return [tf.mul(alpha / 2, tf.sub(exact.denoise(y!, logSnr), tf.mul(alpha, y!)))]
      },
      [x],
      at,
      next - at,
    )
    x.dispose()
    x = state[0]!
  }
  const end = tf.div(x, alphaOf(to))
  await expectGolden(id, end, { shape: [12, 2], values: numbersOf(expected['end']) }, { abs: 1e-4, rel: 1e-5 })
  tf.dispose([x, end])
  exact.dispose()
}

/** ug/field: the field's covariances, and those of its means over blocks. */
export function checkField({ expected, params, tol }: GoldenRecord): void {
  const field = recordedField(params['size'] as number)
  const low = field.pooled(params['scale'] as number)
  const compare = (got: Float64Array, wanted: number[]): void => {
    expect(got.length).toBe(wanted.length)
    wanted.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(tol))
  }
  compare(field.autocovariance(), numbersOf(expected['covHighRow0']))
  compare(low.autocovariance(), numbersOf(expected['covLowRow0']))
  field.dispose()
  low.dispose()
}

/** The recorded field's covariance function of low resolution. */
export const lowCovariance = numbersOf(goldenRecord('ug-field-8').expected['covLowRow0'])

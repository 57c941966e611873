import * as tf from '@tensorflow/tfjs-core'
import { expectGolden } from '@x/core-gpu/testing'
import { expect } from 'vitest'
import type { Denoiser } from '../denoiser.ts'
import { classifierFree } from '../guidance/classifier-free/classifier-free.ts'
import { edmInterval } from '../guidance/limited-interval/limited-interval.ts'
import { skipScales } from '../guidance/skip-tuning/skip-tuning.ts'
import { heavisideWeight, upsample } from '../guidance/upsample/upsample.ts'
import { alphaOf, logSnrOfEdmSigma, sigmaOf } from '../noise-level.ts'
import { recordedField, recordedMixture } from './distributions.ts'
import { type GoldenRecord, numbersOf, sineTensor } from './golden.ts'
import { mixtureSigmas, mixtureStarts } from './mixture.ts'

/** guidance/cfg: the combination of two predictions, which stand for those of a network. */
export async function checkClassifierFree({ id, params, inputs, expected }: GoldenRecord): Promise<void> {
  const [cond, uncond] = [sineTensor(inputs!['cond']!), sineTensor(inputs!['uncond']!)]
  const guidance = classifierFree<string>({ weight: params['w'] as number, rescale: params['rescale'] as number })
  const x = tf.zerosLike(cond)
  const got = guidance((_, __, condition) => tf.clone(condition === 'yes' ? cond : uncond))(x, 0, 'yes')
  const values = Array.from(await got.data())
  const close = (i: number, wanted: number): void => expect(Math.abs(values.at(i)! - wanted), id).toBeLessThan(2e-6)
  numbersOf(expected['first8']).forEach((value, i) => close(i, value))
  numbersOf(expected['last4']).forEach((value, i) => close(i - 4, value))
  expect(values.reduce((sum, value) => sum + Math.abs(value), 0)).toBeCloseTo(expected['sumAbs'] as number, 3)
  tf.dispose([cond, uncond, x, got])
}

/** guidance/gmm: where Heun's method ends on the mixture, guided, from the recorded starts. */
export async function checkGuidedFlow({ id, params, expected }: GoldenRecord): Promise<void> {
  const exact = recordedMixture()
  const bounds = params['interval'] as [number, number] | null
  const guidance = classifierFree<tf.Tensor>({
    weight: params['w'] as number,
    ...(bounds ? { interval: edmInterval(...bounds) } : {}),
  })
  const labels = tf.zeros([12], 'int32')
  const end = await heunOnKarras(guidance(exact.denoise), params['n'] as number, labels)
  await expectGolden(id, end, { shape: [12, 2], values: numbersOf(expected['end']) }, { abs: 1e-3, rel: 1e-4 })
  tf.dispose([end, labels])
  exact.dispose()
}

/** Heun's method in EDM's coordinates, over n steps between the mixture's sigmas. */
async function heunOnKarras(denoiser: Denoiser<tf.Tensor>, n: number, condition: tf.Tensor): Promise<tf.Tensor> {
  const { min, max } = mixtureSigmas
  const root = (sigma: number): number => sigma ** (1 / 7)
  const sigmas = Array.from({ length: n + 1 }, (_, i) => (root(max) + (i / n) * (root(min) - root(max))) ** 7)
  const slope = (x: tf.Tensor, sigma: number): tf.Tensor => {
    const logSnr = logSnrOfEdmSigma(sigma)
    return tf.div(tf.sub(x, denoiser(tf.mul(x, alphaOf(logSnr)), logSnr, condition)), sigma)
  }
  let x = tf.tensor2d(mixtureStarts.map((start) => start.slice())) as tf.Tensor
  for (let i = 0; i < n; i++) {
    const [a, b] = [sigmas[i]!, sigmas[i + 1]!]
    const next = tf.tidy(() => {
      const first = slope(x, a)
      const second = slope(tf.add(x, tf.mul(b - a, first)), b)
      return tf.add(x, tf.mul((b - a) / 2, tf.add(first, second)))
    })
    x.dispose()
    x = next
  }
  return x
}

/** guidance/skip-tuning */
export function checkSkipScales({ params, expected, tol }: GoldenRecord): void {
  const [top, bottom, levels] = ['rhoTop', 'rhoBottom', 'skips'].map((name) => params[name] as number)
  const scales = skipScales({ bottom: bottom!, top: top!, levels: levels! })
  numbersOf(expected['rho']).forEach((value, i) => expect(Math.abs(scales[i]! - value)).toBeLessThan(tol))
  expect(scales.length).toBe(levels)
}

/** ug/heaviside */
export function checkHeaviside({ params, expected }: GoldenRecord): void {
  const [theta, eta, end] = ['theta', 'eta', 'T'].map((name) => params[name] as number)
  // Any falling schedule does: the weight is asked for by level.
  const schedule = (t: number): number => 10 - 20 * t
  const weight = heavisideWeight({ theta: theta!, eta: eta!, schedule })
  const got = numbersOf(params['t']).map((t) => weight(schedule(t / end!)))
  expect(got).toEqual(numbersOf(expected['w']))
}

/** ug/step: guided noise, for the exact model of low resolution and for one that is not exact. */
export async function checkUpsample({ id, params, inputs, expected }: GoldenRecord): Promise<void> {
  const [logSnr, w, scale] = ['logSnr', 'w', 'scale'].map((name) => params[name] as number) as [number, number, number]
  const [alpha, sigma] = [alphaOf(logSnr), sigmaOf(logSnr)]
  const rows = sineTensor(inputs!['x']!)
  const x = tf.reshape(rows, [1, 8, 8, 1])
  const low = recordedField().pooled(scale)
  const tolerance = { abs: 2e-6, rel: 1e-5 }
  const noiseOf = (denoised: tf.Tensor): tf.Tensor => tf.div(tf.sub(x, tf.mul(alpha, denoised)), sigma)
  const check = async (name: string, lowResolution: Denoiser): Promise<void> => {
    const guided = upsample({ scale, weight: w, lowResolution })(toyDenoiser)
    const noise = tf.tidy(() => noiseOf(guided(x, logSnr)))
    await expectGolden(`${id} ${name}`, noise, { shape: [1, 8, 8, 1], values: numbersOf(expected[name]) }, tolerance)
    noise.dispose()
  }
  await check('guidedGaussian', low.denoise)
  await check('guidedToy', toyDenoiser)
  const seen: { y: tf.Tensor; level: number }[] = []
  const spy: Denoiser = (y, level) => {
    seen.push({ y: tf.keep(tf.clone(y)), level })
    return low.denoise(y, level)
  }
  const one = upsample({ scale, weight: 1, lowResolution: spy })(toyDenoiser)(x, logSnr)
  expect(seen.map(({ level }) => level)).toEqual([expect.closeTo(expected['tau'] as number, 12)])
  const pooled = numbersOf(expected['Dx']).map((value) => value / (expected['sqrtP'] as number))
  await expectGolden(`${id} asked`, seen[0]!.y, { shape: [1, 4, 4, 1], values: pooled }, tolerance)
  tf.dispose(seen.map(({ y }) => y))
  // With weight 1 the means over blocks of the noise are the main term.
  const main = tf.tidy(() => tf.avgPool(noiseOf(one) as tf.Tensor4D, scale, scale, 'valid'))
  await expectGolden(
    `${id} main`,
    main,
    { shape: [1, 4, 4, 1], values: numbersOf(expected['mainGaussian']) },
    tolerance,
  )
  tf.dispose([rows, x, one, main])
  low.dispose()
}

/** The records' model that is not exact: eps = sigma x + 0.3 alpha (x - mean of the four periodic neighbours). */
const toyDenoiser: Denoiser = (x, logSnr) =>
  tf.tidy(() => {
    const [alpha, sigma] = [alphaOf(logSnr), sigmaOf(logSnr)]
    const n = x.shape[1]!
    const [last, rest] = [n - 1, n - 1]
    const shifted = (axis: 1 | 2, first: number): tf.Tensor => {
      const parts = tf.split(x, first === 1 ? [1, rest] : [last, 1], axis)
      return tf.concat([parts[1]!, parts[0]!], axis)
    }
    const around = [shifted(1, 1), shifted(1, last), shifted(2, 1), shifted(2, last)].reduce((a, b) => tf.add(a, b))
    const noise = tf.add(tf.mul(sigma, x), tf.mul(0.3 * alpha, tf.sub(x, tf.div(around, 4))))
    return tf.div(tf.sub(x, tf.mul(sigma, noise)), alpha)
  })

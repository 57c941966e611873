import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
import { beforeAll, expect, it } from 'vitest'
import { edmSigmaOf } from '../../noise-level.ts'
import { autoGuidance } from '../auto-guidance/auto-guidance.ts'
import { edmInterval, limitedInterval } from './limited-interval.ts'

beforeAll(async () => void (await useBackend('cpu')))

it('guides inside and nowhere else', () => {
  const interval = edmInterval(0.28, 5.42)
  expect(edmSigmaOf(interval.from)).toBeCloseTo(5.42, 12)
  expect(edmSigmaOf(interval.to)).toBeCloseTo(0.28, 12)
  const weak = (): tf.Tensor => tf.tensor1d([0])
  const guided = limitedInterval(autoGuidance(weak, { weight: 2 }), interval)(() => tf.tensor1d([1]))
  const x = tf.tensor1d([0])
  const at = (level: number): number => tf.tidy(() => guided(x, level).dataSync()[0]!)
  expect([interval.from - 0.01, interval.from, 0, interval.to - 0.01, interval.to].map(at)).toEqual([1, 2, 2, 2, 1])
  x.dispose()
})

it('may reach clean and pure noise', () => {
  expect(edmInterval(0, Infinity)).toEqual({ from: -Infinity, to: Infinity })
})

it('refuses what is no interval', () => {
  expect(() => edmInterval(2, 1)).toThrow(/^low/)
  expect(() => edmInterval(-1, 1)).toThrow(/^low/)
  expect(() => limitedInterval((denoiser) => denoiser, { from: 2, to: 1 })).toThrow(/^interval/)
  expect(() => limitedInterval((denoiser) => denoiser, { from: NaN, to: 1 })).toThrow(/^interval/)
})

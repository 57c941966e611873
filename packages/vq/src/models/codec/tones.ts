import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'

/**
 * Sums of two sines of drawn pitch, phase and loudness.
 * @returns [B, T, 1]
 */
export function tones(key: Key, batch: number, length: number): tf.Tensor3D {
  const [pitch, phase, loudness] = key.split(3).map((k) => k.uniform([2 * batch]).dataSync()) as [D, D, D]
  const values = Float32Array.from({ length: batch * length }, (_, i) => {
    const [b, t] = [Math.floor(i / length), i % length]
    return [2 * b, 2 * b + 1].reduce(
      (sum, s) => sum + (0.2 + 0.3 * loudness[s]!) * Math.sin((0.1 + 0.4 * pitch[s]!) * t + 2 * Math.PI * phase[s]!),
      0,
    )
  })
  return tf.tensor3d(values, [batch, length, 1])
}

type D = Float32Array

/** In decibels. */
export function signalToNoise(wanted: readonly number[], got: readonly number[]): number {
  const power = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0)
  return 10 * Math.log10(power(wanted) / power(wanted.map((value, i) => value - got[i]!)))
}

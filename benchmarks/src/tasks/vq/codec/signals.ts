import type { Key } from '@x/core-gpu'
import * as tf from '@tensorflow/tfjs-core'

/** Samples in a frame. */
export const frameLength = 64
const framesPerSignal = 32
const samples = frameLength * framesPerSignal
const chirpsPerSignal = 4
const noise = 0.01

/** One tone that glides and dies away. */
interface Chirp {
  readonly start: number
  readonly amplitude: number
  /** in cycles per sample, where it starts and how it changes per sample */
  readonly frequency: number
  readonly glide: number
  readonly phase: number
  /** samples until a tenth is left */
  readonly length: number
}

function drawChirp(next: () => number): Chirp {
  const between = (low: number, high: number): number => low + (high - low) * next()
  const frequency = between(0.005, 0.035)
  return {
    start: Math.floor(between(-0.25, 0.75) * samples),
    amplitude: between(0.3, 1),
    frequency,
    glide: (between(0.005, 0.035) - frequency) / samples,
    phase: between(0, 2 * Math.PI),
    length: between(0.25, 1) * samples,
  }
}

/** The sum of some decaying chirps. */
function drawSignal(next: () => number): Float32Array {
  const signal = new Float32Array(samples)
  for (let c = 0; c < chirpsPerSignal; c++) {
    const { start, amplitude, frequency, glide, phase, length } = drawChirp(next)
    for (let n = Math.max(0, start); n < samples; n++) {
      const t = n - start
      const level = amplitude * 10 ** (-t / length)
      signal[n]! += level * Math.sin(2 * Math.PI * (frequency + (glide * t) / 2) * t + phase)
    }
  }
  return signal
}

/**
 * Draws signals like those of plucked strings, with a little noise, and cuts them into frames.
 * @returns `[32 signals, 64]`
 */
export function drawFrames(key: Key, signals: number): tf.Tensor2D {
  const [chirpsKey, noiseKey] = key.split(2) as [Key, Key]
  const words = chirpsKey.bits(signals * chirpsPerSignal * 6)
  let used = 0
  const next = (): number => words[used++]! * 2 ** -32
  const values = new Float32Array(signals * samples)
  for (let s = 0; s < signals; s++) values.set(drawSignal(next), s * samples)
  const shape: [number, number] = [signals * framesPerSignal, frameLength]
  return tf.tidy(() => tf.add(tf.tensor2d(values, shape), noiseKey.normal(shape, { standardDeviation: noise })))
}

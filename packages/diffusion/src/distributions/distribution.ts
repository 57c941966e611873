import type * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'
import type { Denoiser } from '../denoiser.ts'
import type { LogSnr } from '../noise-level.ts'

/** A distribution whose denoiser is known exactly, so that what a sampler or a guidance does can be judged. */
export interface Distribution<Condition = unknown> {
  /** of one sample */
  readonly shape: readonly number[]
  /** E[x0 | x] at any level, x `[B, ...shape]`; bound, so that it can be handed over as it is */
  readonly denoise: Denoiser<Condition>
  /**
   * ln p(x) of noisy samples, whose gradient is the score.
   * @param x `[B, ...shape]`, variance preserving
   * @returns `[B]`
   */
  logDensity(x: tf.Tensor, logSnr: LogSnr, condition?: Condition): tf.Tensor1D
  /**
   * Draws clean samples; the first ones are the same however many are drawn.
   * @returns `[n, ...shape]`
   */
  sample(n: number, key: Key): tf.Tensor
  /** Frees the tensors it holds. */
  dispose(): void
}

/** @throws RangeError for NaN */
export function requireLogSnr(name: string, logSnr: LogSnr): void {
  if (typeof logSnr !== 'number' || Number.isNaN(logSnr))
    throw new RangeError(`${name}: expected a level of logSNR, got ${String(logSnr)}`)
}

import type * as tf from '@tensorflow/tfjs-core'
import type { LogSnr } from './noise-level.ts'

/**
 * Predicts the clean sample, E[x0 | x].
 * @param x `[B, ...]`, variance preserving: alpha x0 + sigma eps
 * @param logSnr the level of the whole batch
 * @param condition what the sample is to be, such as labels `[B]`; undefined for none
 * @returns `[B, ...]`, new and owned by the caller
 */
export type Denoiser<Condition = unknown> = (x: tf.Tensor, logSnr: LogSnr, condition?: Condition) => tf.Tensor

/** Turns a denoiser into another; several compose. */
export type Guidance<Condition = unknown> = (denoiser: Denoiser<Condition>) => Denoiser<Condition>

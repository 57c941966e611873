import type * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'
import type { Denoiser } from './denoiser.ts'
import type { Grid } from './grid.ts'
import type { LogSnr } from './noise-level.ts'

/** What a sampler tells after a step; its tensors live until the call returns, clone to keep them. */
export interface SamplerStep {
  /** from 0 */
  readonly step: number
  readonly steps: number
  /** the level that was left and the one that was reached */
  readonly from: LogSnr
  readonly to: LogSnr
  /** the sample at `to` */
  readonly x: tf.Tensor
  /** the clean sample as it was last predicted */
  readonly denoised: tf.Tensor
}

export interface SampleOptions<Condition = unknown> {
  /** handed to the denoiser */
  readonly condition?: Condition
  /** needed by samplers that draw; sample i draws from the key folded by i, so that it is the same in any batch */
  readonly key?: Key
  /** the number i of the batch's first sample, where a batch is a part of a larger one; default 0 */
  readonly firstSample?: number
  readonly onStep?: (step: SamplerStep) => void | Promise<void>
  /** stops between two steps; the promise rejects with the signal's reason */
  readonly signal?: AbortSignal
}

/**
 * Takes x from the grid's first level to its last.
 *
 * Pure: no state is kept between calls, and `x` stays the caller's.
 * @param x `[B, ...]` at the level `grid[0]`
 * @returns `[B, ...]` at the grid's last level
 * @throws RangeError for a grid that does not rise; for a missing key where the sampler draws
 */
export type Sampler = <Condition>(
  denoiser: Denoiser<Condition>,
  x: tf.Tensor,
  grid: Grid,
  options?: SampleOptions<Condition>,
) => Promise<tf.Tensor>

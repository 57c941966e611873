import type * as tf from '@tensorflow/tfjs-core'
import type { Denoiser } from '../denoiser.ts'
import type { LogSnr } from '../noise-level.ts'

/** What a guidance may change inside a network, for one call. */
export interface NetworkHooks {
  /** factors of the skip connections, the deepest first; 1 leaves one as it is */
  readonly skipScales?: readonly number[]
  /** whether self-attentions pass each token's value on, as if their map were the identity */
  readonly identityAttention?: boolean
}

/** A denoiser whose network can be changed from call to call; without hooks it is a `Denoiser`. */
export type HookedDenoiser<Condition = unknown> = (
  x: tf.Tensor,
  logSnr: LogSnr,
  condition?: Condition,
  hooks?: NetworkHooks,
) => tf.Tensor

/** The denoiser with its hooks set. */
export function withHooks<Condition = unknown>(
  denoiser: HookedDenoiser<Condition>,
  hooks: NetworkHooks,
): Denoiser<Condition> {
  return (x, logSnr, condition) => denoiser(x, logSnr, condition, hooks)
}

import type * as tf from '@tensorflow/tfjs-core'
import type { Key, Module } from '@x/core-gpu'
import type { CacheOptions, KvCache } from './caches/cache.ts'
import type { Positions } from './positions/position.ts'

/** What a call may bring beside its tokens. */
export interface ForwardOptions {
  /** bool or 0/1, true where a query may see a key: [L, S], [B, L, S] or [B, h, L, S]; sizes may be 1, except S */
  readonly mask?: tf.Tensor
  /** added to the scores, after the softcap: float32, shaped as `mask`; -Infinity hides a key */
  readonly bias?: tf.Tensor
  /** whether this is a training step: dropout is applied; default false */
  readonly training?: boolean
  /** where dropout takes its numbers from */
  readonly key?: Key
}

export interface AttentionOptions extends ForwardOptions {
  /** where the tokens stand; default: counted on from the cache, or from 0 */
  readonly positions?: Positions
  /** appended to, and attended over: S counts its tokens too; inference only */
  readonly cache?: KvCache
  /** values of the first layer for these tokens, [B, g, L, dv], where some are mixed in; see `valueResidual` */
  readonly firstValues?: tf.Tensor4D
}

/** What every attention of this package does. */
export interface Attention extends Module {
  /** D, the width of a token */
  readonly dim: number
  readonly heads: number
  /**
   * Attends within sequences, or over a cache that they are appended to.
   *
   * Differentiable, but not through a cache. Any cut of a sequence into calls with one cache gives what one call gives, where
   * no token sees a later one.
   * @param x float32 [B, L, D]
   * @returns [B, L, D]; to be disposed by the caller
   * @throws TypeError, RangeError naming the argument that does not fit; nothing is appended then
   */
  forward(x: tf.Tensor3D, options?: AttentionOptions): tf.Tensor3D
  /** An empty cache for this attention, to be disposed by the caller. */
  createCache(options: CacheOptions): KvCache
}

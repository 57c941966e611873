import type * as tf from '@tensorflow/tfjs-core'
import type { Module } from '@x/core-gpu'

/** Keys and values of the positions so far, in buffers whose size is measured. */
export interface KvCache {
  /** bytes of the live buffers */
  readonly bytes: number
  /** positions stored so far, of each sequence of the batch */
  readonly lengths: readonly number[]
  /** positions that fit */
  readonly capacity: number
  dispose(): void
}

export interface AttentionOptions {
  /** int32 `[L]` or `[B, L]`; default: counted on from the cache, or from 0 */
  readonly positions?: tf.Tensor
  /** bool or 0/1 `[..., Lq, Lk]`, true where a query may see a key */
  readonly mask?: tf.Tensor
  /** appended to, and attended over */
  readonly cache?: KvCache
  /** whether this is a training step: dropout is applied; default false */
  readonly training?: boolean
}

/** What every attention of this package does. */
export interface Attention extends Module {
  /**
   * Attends within a sequence, or over a cache that the sequence is appended to.
   * @param x `[B, L, d_model]`
   * @returns `[B, L, d_model]`
   */
  forward(x: tf.Tensor3D, options?: AttentionOptions): tf.Tensor3D
  createCache(options: { readonly batch: number; readonly capacity: number }): KvCache
}

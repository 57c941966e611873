import type * as tf from '@tensorflow/tfjs-core'
import type { Key, Module } from '@x/core-gpu'

/** What was assigned in a training step. */
export interface Assigned {
  /** vectors, `[N, d]` */
  readonly z: tf.Tensor2D
  /** the code each chose, int32 `[N]`; -1 for a vector that does not count */
  readonly indices: tf.Tensor1D
}

/** A parameterisation of K codes in d dimensions. */
export interface Codebook extends Module {
  readonly size: number
  readonly dim: number
  /** @returns the codes `[K, d]`, differentiable towards what they are made of */
  codes(): tf.Tensor2D
  /** Sees a training batch `[N, d]` before codes are chosen for it; `counts` `[N]` is 1 where a vector counts. */
  observe?(z: tf.Tensor2D, counts: tf.Tensor1D | null): void
  /** Learns from what was assigned, where codes are not left to an optimizer. */
  learn?(assigned: Assigned): void
  /** Puts all codes at `means` `[K, d]`, each the mean of so many vectors: `counts` `[K]`. */
  place?(means: tf.Tensor2D, counts: tf.Tensor1D): void
  /** Puts the codes for which `expired` `[K]` is 1 at `rows` `[K, d]`, as if each had been chosen `hits` times. */
  replace?(expired: tf.Tensor1D, rows: tf.Tensor2D, hits: number): void
}

/** Draws the first codes, `[K, d]`. */
export type CodeInitialiser = (shape: [number, number], key: Key) => tf.Tensor2D

/** Uniform in ±1/K, as in VQ-VAE and VQGAN. */
export const uniformCodes: CodeInitialiser = (shape, key) =>
  key.uniform(shape, { min: -1 / shape[0], max: 1 / shape[0] })

/** Normal with standard deviation 1/sqrt(d): codes of length about 1. */
export const normalCodes: CodeInitialiser = (shape, key) => key.normal(shape, { standardDeviation: shape[1] ** -0.5 })

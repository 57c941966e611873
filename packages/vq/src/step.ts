import type * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'

/** What a step tells the parts of a quantizer. */
export interface Step {
  /** whether this is a training step; parts that draw or look at the batch as a whole do so only then */
  readonly training: boolean
  readonly key: Key | undefined
  /** 1 where a vector counts, else 0, `[N]`; null when all count */
  readonly counts: tf.Tensor1D | null
}

/**
 * The step's key for one use, so that no two parts draw the same numbers.
 * @throws TypeError when the step has no key
 */
export function keyFor(use: 'assignment' | 'estimate' | 'dither' | 'loss' | 'revival', key: Key | undefined): Key {
  if (!key) throw new TypeError(`key: the ${use} draws in training, expected a key, got undefined`)
  return key.fold({ assignment: 1, estimate: 2, dither: 3, loss: 4, revival: 5 }[use])
}

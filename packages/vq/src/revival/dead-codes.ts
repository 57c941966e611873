import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, type Module, requireInteger, segmentSum, variable } from '@x/core-gpu'
import { blend } from '../codebooks/blend.ts'
import { pickRows } from '../initialisation/pick-rows.ts'
import type { Assigned, Codebook } from '../codebooks/codebook.ts'

/** What becomes of codes that are chosen too rarely. */
export interface Revival extends Module {
  /** Counts a step's choices, then moves what is dead in the codebook. */
  replace(codebook: Codebook, assigned: Assigned, key: Key | undefined): void
}

export interface DeadCodesOptions {
  /** a code chosen fewer than this many times a step, as a running mean, is dead; default 1 */
  readonly threshold?: number
  /** how much of the running mean a step keeps; default 0.99 */
  readonly decay?: number
  /** how often a replaced code counts as chosen; default: the threshold */
  readonly reset?: number
  /** in which order a batch's rows become codes; default: random */
  readonly order?: (rows: number, key: Key | undefined) => Int32Array
}

/**
 * Replaces codes that nothing chooses by vectors of the batch, distinct ones as long as there are enough.
 * arXiv 2107.03312, section III.C
 *
 * The running means start at 1 and the check follows every step, so a threshold above 1 replaces most codes at once:
 * keep it at 1 or below unless that is meant.
 */
export class DeadCodes extends BaseModule implements Revival {
  /** running mean of choices, `[K]` */
  readonly hits: tf.Variable
  readonly #threshold: number
  readonly #decay: number
  readonly #reset: number
  readonly #order: (rows: number, key: Key | undefined) => Int32Array

  constructor(codebookSize: number, options: DeadCodesOptions = {}) {
    super()
    requireInteger('codebookSize', codebookSize, 1)
    const { threshold = 1, decay = 0.99, reset = threshold, order = randomOrder } = options
    if (!(threshold > 0)) throw new RangeError(`threshold: expected a number > 0, got ${threshold}`)
    if (!(reset >= threshold)) throw new RangeError(`reset: expected at least the threshold ${threshold}, got ${reset}`)
    this.hits = variable(tf.ones([codebookSize]), { trainable: false })
    this.#threshold = threshold
    this.#decay = decay
    this.#reset = reset
    this.#order = order
  }

  /** Counts a step's choices, then replaces what is dead in the codebook. */
  replace(codebook: Codebook, { z, indices }: Assigned, key: Key | undefined): void {
    const codes = this.hits.shape[0]!
    if (!codebook.replace) throw new TypeError('revive: this codebook has no codes that can be replaced')
    tf.tidy(() => {
      const now = segmentSum(tf.ones(indices.shape) as tf.Tensor1D, indices, codes)
      const hits = tf.add(tf.mul(this.#decay, this.hits), tf.mul(1 - this.#decay, now)) as tf.Tensor1D // [K]
      const expired = tf.cast(tf.less(hits, this.#threshold), 'float32') as tf.Tensor1D // [K]
      this.hits.assign(blend(expired, this.#reset, hits))
      codebook.replace!(expired, this.#rowsFor(expired, z, indices, key), this.#reset)
    })
  }

  /** For the r-th expired code the r-th row in order, from the start again when rows run out: `[K, d]`. */
  #rowsFor(expired: tf.Tensor1D, z: tf.Tensor2D, indices: tf.Tensor1D, key: Key | undefined): tf.Tensor2D {
    const counts = tf.cast(tf.greaterEqual(indices, tf.scalar(0, 'int32')), 'float32') as tf.Tensor1D // [N]
    const rank = tf.sub(tf.cumsum(expired), expired) as tf.Tensor1D // [K], how many dead codes stand before
    return pickRows(z, counts, this.#order(z.shape[0], key), rank)
  }
}

function randomOrder(rows: number, key: Key | undefined): Int32Array {
  if (!key) throw new TypeError('key: replacing dead codes draws rows, expected a key, got undefined')
  return key.permutation(rows)
}

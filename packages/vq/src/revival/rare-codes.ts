import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, lookup, requireInteger, segmentSum, variable } from '@x/core-gpu'
import { rowBlocks } from '../assignment/rows.ts'
import type { Assigned, Codebook } from '../codebooks/codebook.ts'
import { keyFor } from '../step.ts'
import type { Revival } from './dead-codes.ts'

export interface RareCodesOptions {
  /** steps between replacements; default 100 */
  readonly every?: number
  /** a code used in less than this share of those steps is replaced; default 0.01 */
  readonly share?: number
  /**
   * standard deviation of what is added to a used code, as a share of the codes' mean length; default 1e-3. The paper's
   * 1e-9, added to each element, is lost in float32 and leaves two equal codes, of which only the first is ever chosen.
   */
  readonly noise?: number
}

/**
 * Replaces rarely used codes by copies of used ones: every so many steps, codes that hardly any of those steps used become
 * used codes, drawn by how many steps used them, plus a little noise. arXiv 2509.26469
 *
 * Steps are counted, not vectors: a code that one step uses often counts once.
 */
export class RareCodes extends BaseModule implements Revival {
  /** steps that used each code since the last replacement, `[K]` */
  readonly used: tf.Variable
  /** steps since the last replacement */
  readonly steps: tf.Variable
  readonly #every: number
  readonly #share: number
  readonly #noise: number
  #count = 0

  /** @throws RangeError when a number is out of range */
  constructor(codebookSize: number, options: RareCodesOptions = {}) {
    super()
    const { every = 100, share = 0.01, noise = 1e-3 } = options
    requireInteger('codebookSize', codebookSize, 1)
    requireInteger('every', every, 1)
    if (!(share >= 0 && share <= 1)) throw new RangeError(`share: expected a number from 0 to 1, got ${share}`)
    if (!(noise >= 0)) throw new RangeError(`noise: expected a number >= 0, got ${noise}`)
    this.used = variable(tf.zeros([codebookSize]), { trainable: false })
    this.steps = variable(tf.scalar(0), { trainable: false })
    this.#every = every
    this.#share = share
    this.#noise = noise
  }

  replace(codebook: Codebook, { indices }: Assigned, key: Key | undefined): void {
    if (!codebook.replace) throw new TypeError('revive: this codebook has no codes that can be replaced')
    const size = this.used.shape[0]!
    tf.tidy(() => {
      const hits = segmentSum(tf.ones<tf.Rank.R1>(indices.shape), indices, size)
      this.used.assign(tf.add(this.used, tf.cast(tf.greater(hits, 0), 'float32')))
      this.#count += 1
      if (this.#count >= this.#every) this.#refresh(codebook, key)
      this.steps.assign(tf.scalar(this.#count))
    })
  }

  override load(state: Record<string, tf.Tensor>): void {
    super.load(state)
    this.#count = this.steps.dataSync()[0]!
  }

  #refresh(codebook: Codebook, key: Key | undefined): void {
    const [drawKey, noiseKey] = keyFor('revival', key).split(2) as [Key, Key]
    const rare = tf.cast(tf.less(this.used, this.#share * this.#count), 'float32') as tf.Tensor1D // [K]
    const odds = tf.mul(this.used, tf.sub(1, rare)) as tf.Tensor1D // [K]
    const codes = codebook.codes() // [K, d]
    const noise = noiseKey.normal<tf.Rank.R2>(codes.shape, { standardDeviation: this.#noise })
    const length = tf.mean(tf.norm(codes, 2, 1))
    const rows = tf.add(lookup(codes, drawIndices(odds, drawKey)), tf.mul(noise, length)) as tf.Tensor2D
    // With no code in use there is nothing to copy.
    const expired = tf.mul(rare, tf.cast(tf.greater(tf.sum(odds), 0), 'float32')) as tf.Tensor1D
    codebook.replace!(expired, rows, 1)
    this.used.assign(tf.zerosLike(this.used))
    this.#count = 0
  }
}

/** As many draws as there are weights, each an index by its weight: `[K]`, int32. */
function drawIndices(weights: tf.Tensor1D, key: Key): tf.Tensor1D {
  const size = weights.shape[0]
  const reached = tf.cumsum(weights) // [K]
  const points = tf.mul(key.uniform<tf.Rank.R1>([size]), tf.sum(weights)) // [K]
  const found = rowBlocks(size, size).map(([from, count]) =>
    tf.sum(tf.cast(tf.lessEqual(reached, tf.expandDims(tf.slice(points, from, count), 1)), 'int32'), 1),
  )
  return tf.minimum(tf.concat(found), tf.scalar(size - 1, 'int32')) as tf.Tensor1D
}

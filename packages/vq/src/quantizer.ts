import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  type Key,
  lookup,
  type Module,
  nearestCodes,
  requireFinite,
  requireLastDimension,
  requireShape,
  stopGradient,
  variable,
} from '@x/core-gpu'
import { type Assignment, nearest } from './assignment/nearest.ts'
import type { Assigned, Codebook } from './codebooks/codebook.ts'
import { FreeCodebook } from './codebooks/free.ts'
import { frozen } from './codebooks/frozen.ts'
import { type Estimator, straightThrough } from './estimators/estimator.ts'
import { decodeRows, hideMasked, requireIndices } from './indices.ts'
import type { DataStart } from './initialisation/k-means.ts'
import type { LossTerm } from './losses/losses.ts'
import { euclidean, type Metric } from './metric.ts'
import type { Revival } from './revival/dead-codes.ts'
import { crossEntropy, type CrossEntropyOptions } from './losses/cross-entropy.ts'

export interface QuantizeOptions {
  /** whether this is a training step: losses are computed, and codebooks that learn by counting do so; default false */
  readonly training?: boolean
  /** needed in training by parts that draw (k-means start, dead-code replacement, noise) */
  readonly key?: Key
  /** `[...]`, true or 1 where a vector counts; the others get index -1 and zeros, and no say in losses or learning */
  readonly mask?: tf.Tensor
  /** leaves codebooks that learn by counting as they are in this step; default false */
  readonly freeze?: boolean
  /** takes these codes instead of choosing, int32 `[...]`; for quantizers with a codebook */
  readonly indices?: tf.Tensor
}

export type Quantization = {
  /** the codes' values with an estimated gradient towards `z`, `[..., d]` */
  readonly quantized: tf.Tensor
  /** int32, `[...]`; with several codebooks `[..., c]` */
  readonly indices: tf.Tensor
  /** what to add to the objective: the sum of `terms`; 0 outside training */
  readonly loss: tf.Scalar
  /** each loss by name, weighted */
  readonly terms: Record<string, tf.Scalar>
}

/** What every quantizer of this package does. */
export interface Quantizer extends Module {
  /** size of the vectors' last dimension */
  readonly dim: number
  /** codes in each codebook */
  readonly codebookSize: number
  /** indices per vector */
  readonly codebooks: number
  /**
   * Replaces each vector by a code.
   * @param z `[..., d]`
   * @throws RangeError when the last dimension is not `dim`, or `z` holds NaN or Infinity (on backends that can be read
   * synchronously; elsewhere they pass through to the loss)
   */
  quantize(z: tf.Tensor, options?: QuantizeOptions): Quantization
  /**
   * Looks codes up: `decode(quantize(z).indices)` equals `quantize(z).quantized`.
   * @param indices int32, `[...]`; with several codebooks `[..., c]`; -1 decodes to zeros
   * @returns `[..., d]`
   * @throws RangeError for an index out of range
   */
  decode(indices: tf.Tensor): tf.Tensor
  /**
   * @returns the codes as they are used, `[K, w]`, or `[c, K, w]` where each codebook has its own; w is `dim`, or the
   * width of the part of a vector that a codebook stands for
   */
  codebook(): tf.Tensor
  /**
   * Lets codebooks that learn by counting do so from several passes of one training step, as `quantize` does from one.
   * @param passes vectors `[..., d]` and the codes they chose, int32 `[...]`, -1 where a vector does not count
   */
  learn?(passes: readonly Pass[], key?: Key): void
  /**
   * Finds the `count` nearest codes of each vector, nearest first: codes `[..., count, d]` and indices int32
   * `[..., count]`.
   */
  nearestCodes?(z: tf.Tensor, count: number): { quantized: tf.Tensor; indices: tf.Tensor }
}

/** Vectors of a training step and what they chose. */
export interface Pass {
  /** `[..., d]` */
  readonly z: tf.Tensor
  /** int32 `[...]` */
  readonly indices: tf.Tensor
}

/** The parts that make a codebook quantizer. */
export interface CodebookQuantizerParts {
  readonly codebook: Codebook
  /** which code a vector takes; default: the nearest */
  readonly assign?: Assignment
  /** how the gradient passes the choice; default: straight through */
  readonly estimate?: Estimator
  /** the space vectors and codes live in; default: euclidean */
  readonly metric?: Metric
  /** what a training step adds to the objective */
  readonly losses: Readonly<Record<string, LossTerm>>
  /** how codes are placed when the first training batch is seen; default: they stay as they were made */
  readonly start?: DataStart
  /** what becomes of codes that nothing chooses; default: nothing */
  readonly revive?: Revival | undefined
}

/**
 * The engine: codebook x assignment x estimator x losses, with the codebook's own learning.
 *
 * A training step quantizes with the codes as they are, and only then lets the codebook learn from what was assigned.
 */
export class CodebookQuantizer extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks = 1
  readonly codes: Codebook
  readonly revive?: Revival | undefined
  /** 1 once a data start has happened; there only where one is asked for */
  readonly started?: tf.Variable
  readonly #assign: Assignment
  readonly #estimate: Estimator
  readonly #metric: Metric
  readonly #losses: Readonly<Record<string, LossTerm>>
  readonly #start: DataStart | undefined
  #waiting: boolean

  constructor(parts: CodebookQuantizerParts) {
    super()
    this.dim = parts.codebook.dim
    this.codebookSize = parts.codebook.size
    this.codes = parts.codebook
    this.#assign = parts.assign ?? nearest
    this.#estimate = parts.estimate ?? straightThrough
    this.#metric = parts.metric ?? euclidean
    this.#losses = parts.losses
    requireTrainable(parts)
    this.#start = parts.start
    this.#waiting = parts.start !== undefined
    if (parts.revive) this.revive = parts.revive
    if (parts.start) this.started = variable(tf.scalar(0), { trainable: false })
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    const { training = false, key, mask, freeze = false } = options
    const lead = z.shape.slice(0, -1)
    if (mask) requireShape('mask', mask, lead)
    if (options.indices) requireGiven(options.indices, lead, this.codebookSize)
    return tf.tidy(() => {
      const rows = this.#metric.project(tf.reshape<tf.Rank.R2>(z, [-1, this.dim])) // [N, d]
      requireFinite('z', rows)
      const counts = mask ? tf.reshape<tf.Rank.R1>(tf.cast(mask, 'float32'), [-1]) : null // [N], 0 or 1
      if (training && this.#waiting) this.#startFrom(rows, key, counts)
      if (training) this.codes.observe?.(stopGradient(rows), counts)

      const codes = this.codes.codes() // [K, d]
      const step = { training, key, counts }
      const chosen = options.indices ? flatten(options.indices) : this.#assign(rows, codes, step) // [N]
      const q = lookup(codes, chosen) as tf.Tensor2D // [N, d]
      const value = this.#estimate(rows, q, { ...step, codes, indices: chosen }) // [N, d]
      const terms = training ? this.#terms({ z: rows, q, counts, value, codes, indices: chosen, lead, key }) : {}
      const { quantized, indices } = hideMasked(tf.reshape(value, z.shape), tf.reshape(chosen, lead), mask)
      if (training && !freeze) this.#learn([{ z: stopGradient(rows), indices: flatten(indices) }], key)
      return {
        quantized,
        indices,
        loss: sumOf(Object.values(terms)),
        terms,
      }
    })
  }

  /** Whether codes are still to be placed by the first training batch. */
  get waiting(): boolean {
    return this.#waiting
  }

  learn(passes: readonly Pass[], key?: Key): void {
    tf.tidy(() => {
      const assigned = passes.map(({ z, indices }) => ({
        z: stopGradient(this.#metric.project(tf.reshape<tf.Rank.R2>(z, [-1, this.dim]))),
        indices: flatten(indices),
      }))
      this.#learn(assigned, key)
    })
  }

  decode(indices: tf.Tensor): tf.Tensor {
    requireIndices('indices', indices, this.codebookSize)
    return tf.tidy(() => decodeRows(this.codes.codes(), indices))
  }

  codebook(): tf.Tensor2D {
    return tf.tidy(() => this.codes.codes())
  }

  /**
   * Finds the `count` nearest codes of each vector, nearest first.
   * @param z `[..., d]`
   * @returns codes `[..., count, d]`, and their indices, int32 `[..., count]`
   * @throws RangeError when there are not so many codes
   */
  nearestCodes(z: tf.Tensor, count: number): { quantized: tf.Tensor; indices: tf.Tensor } {
    requireLastDimension('z', z, this.dim)
    return tf.tidy(() => {
      const rows = this.#metric.project(tf.reshape<tf.Rank.R2>(z, [-1, this.dim])) // [N, d]
      requireFinite('z', rows)
      const codes = this.codes.codes() // [K, d]
      const { indices } = nearestCodes(rows, codes, count) // [N, count]
      const lead = [...z.shape.slice(0, -1), count]
      return {
        quantized: tf.reshape(lookup(codes, indices), [...lead, this.dim]),
        indices: tf.reshape(indices, lead),
      }
    })
  }

  /**
   * How far the vectors are from choosing given codes: the mean of -log softmax(score) at the given indices, differentiable
   * towards vectors and codes.
   * @param z `[..., d]`
   * @param indices int32, `[...]`; a vector whose index is -1 does not count
   */
  crossEntropy(z: tf.Tensor, indices: tf.Tensor, options: CrossEntropyOptions = {}): tf.Scalar {
    requireLastDimension('z', z, this.dim)
    requireShape('indices', indices, z.shape.slice(0, -1))
    requireIndices('indices', indices, this.codebookSize)
    return tf.tidy(() => {
      const rows = this.#metric.project(tf.reshape<tf.Rank.R2>(z, [-1, this.dim])) // [N, d]
      return crossEntropy(rows, this.codes.codes(), tf.reshape<tf.Rank.R1>(indices, [-1]), options)
    })
  }

  /**
   * The same quantizer for use alone: its codes as they are now, computed once, without the parameters that made them.
   * @returns one with a state of its own, `codes.weight`; nothing in it trains
   */
  bake(): CodebookQuantizer {
    const codebook = new FreeCodebook(this.codebookSize, this.dim, { init: () => this.codebook() })
    return new CodebookQuantizer({
      codebook: frozen(codebook),
      assign: this.#assign,
      metric: this.#metric,
      losses: {},
    })
  }

  override load(state: Record<string, tf.Tensor>): void {
    super.load(state)
    if (this.started) this.#waiting = this.started.dataSync()[0] === 0
  }

  #terms(batch: Parameters<LossTerm>[0]): Record<string, tf.Scalar> {
    return Object.fromEntries(Object.entries(this.#losses).map(([name, term]) => [name, term(batch)]))
  }

  /** Codes follow pass by pass; what is dead is looked for once, in all of them. */
  #learn(passes: readonly Assigned[], key: Key | undefined): void {
    for (const pass of passes) this.codes.learn?.(pass)
    if (!this.revive) return
    const [first, ...more] = passes
    if (first === undefined) return
    const all = more.reduce<Assigned>(
      (sum, { z, indices }) => ({ z: tf.concat([sum.z, z]), indices: tf.concat([sum.indices, indices]) }),
      first,
    )
    this.revive.replace(this.codes, all, key)
  }

  #startFrom(rows: tf.Tensor2D, key: Key | undefined, counted: tf.Tensor1D | null): void {
    if (!this.codes.place) throw new TypeError('start: this codebook cannot be placed from data')
    const { means, counts } = this.#start!(rows, this.codebookSize, this.#metric, key, counted)
    this.codes.place(means, counts)
    this.started!.assign(tf.scalar(1))
    this.#waiting = false
  }
}

/** A tensor of its own, also of one term. */
function sumOf([first, ...others]: tf.Scalar[]): tf.Scalar {
  if (first === undefined) return tf.scalar(0)
  return others.length === 0 ? tf.clone(first) : others.reduce<tf.Scalar>((sum, term) => tf.add(sum, term), first)
}

function flatten(indices: tf.Tensor): tf.Tensor1D {
  return tf.reshape<tf.Rank.R1>(indices, [-1])
}

function requireGiven(indices: tf.Tensor, lead: number[], codebookSize: number): void {
  requireShape('indices', indices, lead)
  requireIndices('indices', indices, codebookSize)
}

/** Refuses what would have no effect: a term on the codes alone, where codes do not learn by gradient. */
function requireTrainable({ losses, codebook }: CodebookQuantizerParts): void {
  if (Object.keys(codebook.parameters()).length > 0) return
  const lost = Object.entries(losses).find(([, term]) => term.trainsCodes)
  if (lost)
    throw new TypeError(
      `losses.${lost[0]}: works on the codes by gradient, but this codebook's do not learn by gradient`,
    )
}

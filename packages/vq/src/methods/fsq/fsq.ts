import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  defineMethod,
  integer,
  integers,
  type Method,
  requireFinite,
  requireLastDimension,
  requireShape,
} from '@x/core-gpu'
import * as v from 'valibot'
import { hideMasked, requireIndices } from '../../indices.ts'
import type { Quantization, QuantizeOptions, Quantizer } from '../../quantizer.ts'
import { type Bound, type BoundName, makeBound } from '../../scalar/bounds.ts'
import { type MixedRadix, mixedRadix } from '../../scalar/mixed-radix.ts'
import { Normaliser } from '../../scalar/normaliser.ts'
import { roundTo } from '../../scalar/round-to.ts'

export interface FsqOptions {
  /** how many values each dimension takes, such as `[8, 5, 5, 5]` for 1000 codes; each at least 2 */
  readonly levels: readonly number[]
  /** how a number is squashed before it is rounded; default `'atanh'`, for two levels `'symmetric'` is needed */
  readonly bound?: BoundName
  /** codes per vector: its dimensions are split into so many groups; default 1 */
  readonly codebooks?: number
  /** whether each dimension is brought to mean 0, variance 1 first (batch statistics in training); default false */
  readonly normalise?: boolean
}

/**
 * Finite scalar quantization: every dimension is squashed and rounded to one of a few levels; the codebook is their grid.
 *
 * No loss and no codebook to learn. Inputs far from 0 saturate it, and few codes are used: normalise them if their scale
 * is free.
 * arXiv 2309.15505
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const fsq: Method<FsqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/fsq',
  title: 'FSQ',
  summary: 'Rounds every dimension to a few levels: a fixed grid of codes and no codebook to learn.',
  paper: { title: 'Finite Scalar Quantization: VQ-VAE Made Simple', arxiv: '2309.15505', year: 2023 },
  options: v.object({
    levels: integers(2),
    bound: v.optional(v.picklist(['atanh', 'tan', 'symmetric']), 'atanh'),
    codebooks: v.optional(integer(1), 1),
    normalise: v.optional(v.boolean(), false),
  }),
  create: (options) => new FiniteScalarQuantizer(options),
})

class FiniteScalarQuantizer extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  readonly normaliser?: Normaliser
  readonly #width: number
  readonly #bound: Bound
  readonly #radix: MixedRadix

  constructor(options: Required<FsqOptions>) {
    super()
    const { levels, bound, codebooks, normalise } = options
    if (bound !== 'symmetric' && levels.includes(2))
      throw new RangeError(`bound: two levels need 'symmetric', got '${bound}' with levels [${levels.join(', ')}]`)
    this.#width = levels.length
    this.#bound = makeBound(bound, levels)
    this.#radix = mixedRadix(levels)
    this.dim = levels.length * codebooks
    this.codebookSize = this.#radix.size
    this.codebooks = codebooks
    if (normalise) this.normaliser = new Normaliser(this.dim)
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    requireFinite('z', z)
    const { training = false, mask } = options
    const lead = z.shape.slice(0, -1)
    if (mask) requireShape('mask', mask, lead)
    return tf.tidy(() => {
      const rows = tf.reshape<tf.Rank.R2>(z, [-1, this.dim]) // [N, d]
      const centred = this.normaliser?.forward(rows, training, mask && tf.reshape(mask, [-1])) ?? rows
      const groups = tf.reshape(centred, [-1, this.codebooks, this.#width]) // [N, c, D]
      const position = this.#bound.position(groups)
      const level = roundTo(position, (x) => this.#bound.snap(x)) // [N, c, D]
      const quantized = tf.reshape(this.#bound.value(level), z.shape)
      const indices = tf.reshape(this.#radix.encode(level), this.codebooks === 1 ? lead : [...lead, this.codebooks])
      return { ...hideMasked(quantized, indices, mask), loss: tf.scalar(0), terms: {} }
    })
  }

  decode(indices: tf.Tensor): tf.Tensor {
    requireIndices('indices', indices, this.codebookSize)
    if (this.codebooks > 1) requireLastDimension('indices', indices, this.codebooks)
    return tf.tidy(() => {
      const flat = tf.reshape(indices, [-1]) // [N c]
      const kept = tf.cast(tf.greaterEqual(flat, tf.scalar(0, 'int32')), 'float32')
      const values = this.#bound.value(this.#radix.decode(flat)) // [N c, D]
      const lead = this.codebooks === 1 ? indices.shape : indices.shape.slice(0, -1)
      return tf.reshape(tf.mul(values, tf.expandDims(kept, -1)), [...lead, this.dim])
    })
  }

  codebook(): tf.Tensor2D {
    return tf.tidy(() => {
      const all = tf.range(0, this.codebookSize, 1, 'int32')
      return this.#bound.value(this.#radix.decode(all)) as tf.Tensor2D // [K, D]
    })
  }
}

import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  defineMethod,
  integer,
  key as makeKey,
  type Key,
  keyOption,
  LayerNorm,
  type Method,
  nearestCode,
  requireFinite,
  requireLastDimension,
  requireShape,
  variable,
} from '@x/core-gpu'
import * as v from 'valibot'
import { hideMasked } from '../../indices.ts'
import { cosine } from '../../metric.ts'

export interface RandomProjectionOptions {
  /** size of the vectors' last dimension */
  readonly dim: number
  /** K, the number of codes of each codebook */
  readonly codebookSize: number
  /** size of the codes, into which vectors are projected; default 16 */
  readonly codeDim?: number
  /** labels per vector, each from a projection and codes of its own; default 1 */
  readonly codebooks?: number
  /** whether vectors are brought to mean 0 and variance 1 each; default true */
  readonly normalise?: boolean
  /** draws projections and codes; default `key(0)` */
  readonly key?: Key
}

/**
 * Random-projection quantization (BEST-RQ): fixed random projections and codes that label vectors, as targets for models
 * that predict what was masked. Nothing is learned, and nothing passes through.
 * arXiv 2202.01855
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const randomProjection: Method<RandomProjectionOptions, RandomProjection> = /* @__PURE__ */ defineMethod({
  id: 'vq/random-projection',
  title: 'Random projection',
  summary: 'Labels for masked prediction from a random projection and random codes, both fixed.',
  paper: {
    title: 'Self-supervised Learning with Random-projection Quantizer for Speech Recognition',
    arxiv: '2202.01855',
    year: 2022,
  },
  options: v.object({
    dim: integer(1),
    codebookSize: integer(1),
    codeDim: v.optional(integer(1), 16),
    codebooks: v.optional(integer(1), 1),
    normalise: v.optional(v.boolean(), true),
    key: v.optional(keyOption(), () => makeKey(0)),
  }),
  create: (options) => new RandomProjection(options),
})

/** Labels vectors; it is no `Quantizer`, because its codes do not stand for vectors. */
export class RandomProjection extends BaseModule {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  /** `[c, d, e]`, after Glorot and Bengio */
  readonly projection: tf.Variable
  /** of length 1, `[c, K, e]` */
  readonly codes: tf.Variable
  readonly #norm: LayerNorm | undefined

  constructor(options: Required<RandomProjectionOptions>) {
    super()
    const { dim, codebookSize, codeDim, codebooks, normalise, key } = options
    const [projectionKey, codeKey] = key.split(2) as [Key, Key]
    const standardDeviation = Math.sqrt(2 / (dim + codeDim))
    this.dim = dim
    this.codebookSize = codebookSize
    this.codebooks = codebooks
    this.projection = variable(projectionKey.normal([codebooks, dim, codeDim], { standardDeviation }), {
      trainable: false,
    })
    const codes = tf.tidy(() => {
      const rows = cosine.project(codeKey.normal([codebooks * codebookSize, codeDim]))
      return tf.reshape(rows, [codebooks, codebookSize, codeDim])
    })
    this.codes = variable(codes, { trainable: false })
    this.#norm = normalise ? new LayerNorm(dim, { affine: false }) : undefined
  }

  /**
   * The label of each vector: the code of largest cosine similarity to its projection.
   * @param z `[..., d]`
   * @param mask `[...]`, true or 1 where a vector counts; the others get -1
   * @returns int32 `[...]`; with several codebooks `[..., c]`
   */
  label(z: tf.Tensor, options: { readonly mask?: tf.Tensor } = {}): tf.Tensor {
    requireLastDimension('z', z, this.dim)
    requireFinite('z', z)
    const lead = z.shape.slice(0, -1)
    const { mask } = options
    if (mask) requireShape('mask', mask, lead)
    return tf.tidy(() => {
      const each = this.#projected(z).map((rows, c) => {
        const codes = tf.squeeze<tf.Tensor2D>(tf.slice(this.codes, [c, 0, 0], [1, -1, -1]), [0])
        return nearestCode(cosine.project(rows), cosine.project(codes)).indices // [N]
      })
      const labels = tf.reshape(tf.stack(each, 1), this.codebooks === 1 ? lead : [...lead, this.codebooks])
      return mask ? hideMasked(z, labels, mask).indices : labels
    })
  }

  /** @returns what is compared with the codes, `[..., c, e]` */
  project(z: tf.Tensor): tf.Tensor {
    requireLastDimension('z', z, this.dim)
    return tf.tidy(() => {
      const stacked = tf.stack(this.#projected(z), 1) // [N, c, e]
      return tf.reshape(stacked, [...z.shape.slice(0, -1), ...stacked.shape.slice(1)])
    })
  }

  /** @returns the codes, `[c, K, e]` */
  codebook(): tf.Tensor {
    return tf.clone(this.codes)
  }

  /** The vectors under each projection, `[N, e]`. */
  #projected(z: tf.Tensor): tf.Tensor2D[] {
    const rows = tf.reshape<tf.Rank.R2>(this.#norm?.forward(z) ?? z, [-1, this.dim]) // [N, d]
    return Array.from({ length: this.codebooks }, (_, c) => {
      const projection = tf.squeeze<tf.Tensor2D>(tf.slice(this.projection, [c, 0, 0], [1, -1, -1]), [0]) // [d, e]
      return tf.matMul(rows, projection)
    })
  }
}

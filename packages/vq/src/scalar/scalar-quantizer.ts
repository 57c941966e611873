import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, requireFinite, requireLastDimension, requireShape } from '@x/core-gpu'
import { hideMasked, requireIndices } from '../indices.ts'
import type { Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'
import { type MixedRadix, mixedRadix } from './mixed-radix.ts'
import { Normaliser } from './normaliser.ts'
import { Rotation } from './rotation.ts'

/** What a training step says to a grid. */
export interface GridContext {
  readonly training: boolean
  readonly key: Key | undefined
}

/** What a grid makes of numbers. */
export interface Gridded {
  /** which level each number takes, float32, without a gradient, `[N, c, D]` */
  readonly level: tf.Tensor
  /** the levels' values with an estimated gradient, `[N, c, D]` */
  readonly value: tf.Tensor
}

/** How single numbers become levels, and levels values again; may be a module with parameters. */
export interface Grid {
  /** how many levels each of the D dimensions has */
  readonly levels: readonly number[]
  /** whether the first dimension's level is the least or the most significant digit of an index; default `'least'` */
  readonly first?: 'least' | 'most'
  /** Brings vectors where they are compared with the levels: `[N, c, D]` to the same shape; default: as they are. */
  prepare?(z: tf.Tensor): tf.Tensor
  /** @param z prepared, `[N, c, D]` */
  quantize(z: tf.Tensor, context: GridContext): Gridded
  /** @returns the values of levels, `[..., D]` */
  value(level: tf.Tensor): tf.Tensor
}

/** What losses of a scalar quantizer see. */
export interface ScalarBatch {
  /** the vectors before `prepare`, `[N, c, D]` */
  readonly input: tf.Tensor
  /** prepared vectors, `[N, c, D]` */
  readonly z: tf.Tensor
  /** values of their levels, `[N, c, D]` */
  readonly q: tf.Tensor
  /** share of the batch that each vector has, summing to 1, `[N]` */
  readonly share: tf.Tensor1D
}

export interface ScalarQuantizerParts {
  readonly grid: Grid
  /** groups of dimensions with an index each; default 1 */
  readonly codebooks?: number
  /** brings each dimension to mean 0 and variance 1 first */
  readonly normalise?: boolean
  /** turns each group by a rotation drawn from this before, and back after */
  readonly rotate?: Key | undefined
  readonly losses?: Readonly<Record<string, (batch: ScalarBatch) => tf.Scalar>>
}

/** Quantizes each number for itself: the codebook is a grid that nobody stores, an index is a number in mixed radix. */
export class ScalarQuantizer extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  readonly normaliser?: Normaliser
  readonly rotation?: Rotation
  readonly grid: Grid
  readonly #width: number
  readonly #radix: MixedRadix
  readonly #losses: Readonly<Record<string, (batch: ScalarBatch) => tf.Scalar>>

  constructor(parts: ScalarQuantizerParts) {
    super()
    const { grid, codebooks = 1, normalise = false, rotate, losses = {} } = parts
    this.#width = grid.levels.length
    this.#radix = mixedRadix(grid.levels, grid.first)
    this.#losses = losses
    this.grid = grid
    this.dim = this.#width * codebooks
    this.codebookSize = this.#radix.size
    this.codebooks = codebooks
    if (normalise) this.normaliser = new Normaliser(this.dim)
    if (rotate) this.rotation = new Rotation(this.#width, rotate)
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    requireFinite('z', z)
    const { training = false, key, mask } = options
    const lead = z.shape.slice(0, -1)
    if (mask) requireShape('mask', mask, lead)
    return tf.tidy(() => {
      const rows = tf.reshape<tf.Rank.R2>(z, [-1, this.dim]) // [N, d]
      const centred = this.normaliser?.forward(rows, training, mask && tf.reshape(mask, [-1])) ?? rows
      const groups = tf.reshape(centred, [-1, this.codebooks, this.#width]) // [N, c, D]
      const input = this.rotation?.forward(groups) ?? groups
      const prepared = this.grid.prepare?.(input) ?? input
      const { level, value } = this.grid.quantize(prepared, { training, key })
      const batch = { input, z: prepared, q: value, share: shares(rows.shape[0], mask) }
      const terms = training ? this.#terms(batch) : {}
      const quantized = tf.reshape(this.rotation?.back(value) ?? value, z.shape)
      const indices = tf.reshape(this.#radix.encode(level), this.codebooks === 1 ? lead : [...lead, this.codebooks])
      const loss = Object.values(terms).reduce<tf.Scalar>((sum, term) => tf.add(sum, term), tf.scalar(0))
      return { ...hideMasked(quantized, indices, mask), loss, terms }
    })
  }

  decode(indices: tf.Tensor): tf.Tensor {
    requireIndices('indices', indices, this.codebookSize)
    if (this.codebooks > 1) requireLastDimension('indices', indices, this.codebooks)
    return tf.tidy(() => {
      const flat = tf.reshape(indices, [-1, this.codebooks]) // [N, c]
      const zero = tf.scalar(0, 'int32')
      const kept = tf.cast(tf.greaterEqual(flat, zero), 'float32')
      const values = this.grid.value(this.#radix.decode(tf.maximum(flat, zero))) // [N, c, D]
      const shown = tf.mul(this.rotation?.back(values) ?? values, tf.expandDims(kept, -1))
      const lead = this.codebooks === 1 ? indices.shape : indices.shape.slice(0, -1)
      return tf.reshape(shown, [...lead, this.dim])
    })
  }

  codebook(): tf.Tensor2D {
    return tf.tidy(() => {
      const all = this.#radix.decode(tf.range(0, this.codebookSize, 1, 'int32')) // [K, D]
      const values = this.grid.value(all)
      return (this.rotation?.back(values) ?? tf.clone(values)) as tf.Tensor2D
    })
  }

  #terms(batch: ScalarBatch): Record<string, tf.Scalar> {
    return Object.fromEntries(Object.entries(this.#losses).map(([name, term]) => [name, term(batch)]))
  }
}

function shares(rows: number, mask: tf.Tensor | undefined): tf.Tensor1D {
  if (!mask) return tf.fill([rows], 1 / rows)
  const counts = tf.reshape<tf.Rank.R1>(tf.cast(mask, 'float32'), [-1])
  return tf.div(counts, tf.maximum(tf.sum(counts), 1))
}

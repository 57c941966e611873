import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  defineMethod,
  integer,
  integers,
  lookup,
  type Method,
  nearestCode,
  numberFrom,
  stopGradient,
  variable,
} from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { roundTo } from '../../scalar/round-to.ts'
import { type Grid, type Gridded, type ScalarBatch, ScalarQuantizer } from '../../scalar/scalar-quantizer.ts'

export interface LatentQuantizationOptions {
  /** how many values each dimension takes; each at least 2 */
  readonly levels: readonly number[]
  /** codes per vector: its dimensions are split into so many groups, which share their values; default 1 */
  readonly codebooks?: number
  /** whether the values are trained; default true */
  readonly trainable?: boolean
  /** weight of the term that keeps vectors near their values; default 0.1 */
  readonly commitment?: number
  /** weight of the term that pulls values to the numbers that chose them; default 0.1 */
  readonly codebookWeight?: number
}

/**
 * Latent quantization: each dimension takes the nearest of a few values of its own, which are learned.
 * arXiv 2305.18378
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const latentQuantization: Method<LatentQuantizationOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/latent-quantization',
  title: 'Latent quantization',
  summary: 'A few learned values for each dimension, which push it to mean one thing.',
  paper: { title: 'Disentanglement via Latent Quantization', arxiv: '2305.18378', year: 2023 },
  options: v.object({
    levels: integers(2),
    codebooks: v.optional(integer(1), 1),
    trainable: v.optional(v.boolean(), true),
    commitment: v.optional(numberFrom(0), 0.1),
    codebookWeight: v.optional(numberFrom(0), 0.1),
  }),
  create: ({ levels, codebooks, trainable, commitment, codebookWeight }) => {
    const grid = new LearnedGrid(levels, trainable)
    try {
      return new ScalarQuantizer({
        grid,
        codebooks,
        losses: {
          ...(trainable && {
            codebook: ({ z, level, share }: ScalarBatch) =>
              tf.mul(codebookWeight, meanSquare(stopGradient(z), grid.value(level), share)),
          }),
          commitment: ({ z, level, share }) =>
            tf.mul(commitment, meanSquare(z, stopGradient(grid.value(level)), share)),
        },
      })
    } catch (error) {
      grid.dispose()
      throw error
    }
  },
})

/** Values of each dimension, any at first spread over [-1/2, 1/2] with 0 among them. */
class LearnedGrid extends BaseModule implements Grid {
  readonly levels: readonly number[]
  readonly values: readonly Values[]

  constructor(levels: readonly number[], trainable: boolean) {
    super()
    this.levels = levels
    this.values = levels.map((L) => new Values(L, trainable))
  }

  quantize(z: tf.Tensor): Gridded {
    const level = tf.concat(
      this.values.map((values, i) => values.nearest(column(z, i))),
      -1,
    )
    return { level, value: roundTo(z, () => this.value(level)) }
  }

  value(level: tf.Tensor): tf.Tensor {
    return tf.concat(
      this.values.map((values, i) => values.at(column(level, i))),
      -1,
    )
  }
}

class Values extends BaseModule {
  /** `[L]` */
  readonly weight: tf.Variable

  constructor(L: number, trainable: boolean) {
    super()
    const spread = Array.from({ length: L }, (_, j) => (L % 2 === 1 ? j / (L - 1) : j / L) - 0.5)
    this.weight = variable(tf.tensor1d(spread), { trainable })
  }

  /** The level whose value is nearest: `[..., 1]` to the same shape, float32. */
  nearest(z: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const { indices } = nearestCode(tf.reshape(z, [-1, 1]), tf.reshape(this.weight, [-1, 1]))
      return tf.reshape(tf.cast(indices, 'float32'), z.shape)
    })
  }

  /** The values of levels `[..., 1]`, differentiable towards them. */
  at(level: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const found = lookup(tf.reshape(this.weight, [-1, 1]), tf.reshape(tf.cast(level, 'int32'), [-1]))
      return tf.reshape(found, level.shape)
    })
  }
}

/** The i-th number along the last dimension, which stays. */
function column(x: tf.Tensor, i: number): tf.Tensor {
  const lead = x.shape.slice(0, -1)
  // The cpu backend cannot slice what holds nothing.
  if (x.size === 0) return tf.zeros([...lead, 1])
  return tf.slice(x, [...lead.map(() => 0), i], [...lead, 1])
}

/** Mean of the squared difference over every element that counts. */
function meanSquare(a: tf.Tensor, b: tf.Tensor, share: tf.Tensor1D): tf.Scalar {
  return tf.sum(tf.mul(tf.mean(tf.square(tf.sub(a, b)), [1, 2]), share))
}

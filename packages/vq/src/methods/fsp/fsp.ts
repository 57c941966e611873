import * as tf from '@tensorflow/tfjs-core'
import { defineMethod, integer, integers, type Method, numberBetween, numberFrom, stopGradient } from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { distributions, type DistributionName } from '../../scalar/distributions.ts'
import { momentLoss, type MomentWeights } from '../../scalar/moments.ts'
import { roundTo } from '../../scalar/round-to.ts'
import { type Grid, type GridContext, ScalarQuantizer } from '../../scalar/scalar-quantizer.ts'

export interface FspOptions {
  /** how many values each dimension takes; each at least 2 */
  readonly levels: readonly number[]
  /** codes per vector: its dimensions are split into so many groups; default 1 */
  readonly codebooks?: number
  /** the distribution that the encoder's numbers shall have; its distribution function squashes them; default `'tanh'` */
  readonly distribution?: DistributionName
  /** share of values that training rounds, instead of moving them within a level's width; default 0 */
  readonly rounded?: number
  /** weights of what holds the numbers to the distribution's moments */
  readonly moments?: MomentWeights
}

/**
 * Finite scalar perturbation: training moves every number at random by up to half a level's width; only outside it are
 * numbers rounded. No gradient is estimated, and the decoder learns to bear what rounding will do.
 * arXiv 2602.17133
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const fsp: Method<FspOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/fsp',
  title: 'FSP',
  summary: 'Perturbs numbers in training instead of rounding them, so that no gradient has to be estimated.',
  paper: {
    title: 'VP-VAE: Rethinking Vector Quantization via Adaptive Vector Perturbation',
    arxiv: '2602.17133',
    year: 2026,
  },
  options: v.object({
    levels: integers(2),
    codebooks: v.optional(integer(1), 1),
    distribution: v.optional(v.picklist(['tanh', 'sigmoid', 'normal', 'laplace', 'cauchy']), 'tanh'),
    rounded: v.optional(numberFrom(0, 1), 0),
    moments: v.optional(
      v.strictObject({
        mean: v.optional(numberFrom(0), 0.1),
        variance: v.optional(numberFrom(0), 0.07),
        skewness: v.optional(numberFrom(0), 0),
        kurtosis: v.optional(numberFrom(0), 0),
        target: v.optional(numberBetween(0, Infinity)),
      }),
      {},
    ),
  }),
  create: ({ levels, codebooks, distribution, rounded, moments }) => {
    const { cumulative, variance } = distributions[distribution]
    const target = moments.target ?? variance
    return new ScalarQuantizer({
      grid: perturbedGrid(levels, cumulative, rounded),
      codebooks,
      losses: { moments: ({ z, share }) => momentLoss(z, share, { ...moments, target }) },
    })
  },
})

/** Keeps the distribution function's 1 below the last level's end. */
const BELOW_ONE = 1 - 2 ** -23

/** Standard deviation of the uniform distribution on [0, 1]: values get variance 1. */
const DEVIATION = 12 ** -0.5

function perturbedGrid(levels: readonly number[], cumulative: (z: tf.Tensor) => tf.Tensor, rounded: number): Grid {
  const counts = [...levels]
  const value = (position: tf.Tensor): tf.Tensor => tf.div(tf.sub(position, 0.5), DEVIATION)
  const middle = (level: tf.Tensor): tf.Tensor => tf.div(tf.add(level, 0.5), counts)
  return {
    levels,
    quantize: (z, context) => {
      const position = cumulative(z) // [N, c, D], in [0, 1]
      const level = tf.floor(tf.mul(tf.minimum(position, BELOW_ONE), counts))
      const snapped = roundTo(position, () => middle(level))
      if (!context.training || rounded === 1) return { level, value: value(snapped) }
      return { level, value: value(perturbed(position, snapped, counts, rounded, context)) }
    },
    value: (level) => value(middle(level)),
  }
}

function perturbed(
  position: tf.Tensor,
  snapped: tf.Tensor,
  counts: number[],
  rounded: number,
  { key }: GridContext,
): tf.Tensor {
  if (!key) throw new TypeError('key: perturbations are drawn in training, expected a key, got undefined')
  const offset = tf.div(key.fold(0).uniform(position.shape, { min: -0.5, max: 0.5 }), counts)
  const moved = tf.add(position, offset)
  // A comparison has no gradient, and must not be asked for one.
  const at = stopGradient(moved)
  const inside = tf.logicalAnd(tf.greater(at, 0), tf.less(at, 1))
  const kept = tf.where(inside, moved, position)
  if (rounded === 0) return kept
  return tf.where(tf.less(key.fold(1).uniform(position.shape), rounded), snapped, kept)
}

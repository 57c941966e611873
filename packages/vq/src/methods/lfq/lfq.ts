import * as tf from '@tensorflow/tfjs-core'
import {
  defineMethod,
  integer,
  key as makeKey,
  type Key,
  keyOption,
  type Method,
  numberBetween,
  numberFrom,
  stopGradient,
} from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { binaryGrid, onSphere, softClamp } from '../../scalar/binary.ts'
import { bitEntropies } from '../../scalar/entropy.ts'
import { type ScalarBatch, ScalarQuantizer } from '../../scalar/scalar-quantizer.ts'

export interface LfqOptions {
  /** dimensions of a codebook, each one bit: 2^bits codes; at most 30 */
  readonly bits: number
  /** codes per vector, each of `bits` dimensions; default 1 */
  readonly codebooks?: number
  /** codes lie at ±scale; default 1 */
  readonly scale?: number
  /** weight of the entropy term; default 0.1 */
  readonly entropyWeight?: number
  /** how much the entropy of the mean distribution counts against that of each vector (gamma); default 1 */
  readonly diversity?: number
  /** inverse temperature of the soft assignment that entropies are taken of; default 100 */
  readonly inverseTemperature?: number
  /** bits that are taken together for the entropy of the mean; default: all up to 12, else groups of 9 */
  readonly groupSize?: number
  /** makes the entropy term positive: softplus(term + offset); default: it is left as it is */
  readonly softplusOffset?: number
  /** weight of mse(z, sg[q]); default 0 */
  readonly commitment?: number
  /** keeps the input within ± this by `c tanh(z / c)`, at least `scale`; default: no bound */
  readonly softClamp?: number
  /** puts vectors and codes on the sphere of radius `scale`; default false */
  readonly spherical?: boolean
  /** turns the space by a fixed random rotation first; default false */
  readonly rotate?: boolean
  /** draws the rotation; default `key(0)` */
  readonly key?: Key
}

/**
 * Lookup-free quantization: every dimension becomes its sign, and a vector's index is read off the signs. An entropy term
 * makes each choice sure and all choices together even.
 *
 * Entropies are exact for up to `groupSize` bits and need no matrix of vectors times codes; above, groups of bits are
 * taken to be independent.
 * arXiv 2310.05737
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const lfq: Method<LfqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/lfq',
  title: 'LFQ',
  summary: 'Keeps only the sign of every dimension, with an entropy term in place of a codebook.',
  paper: {
    title: 'Language Model Beats Diffusion -- Tokenizer is Key to Visual Generation',
    arxiv: '2310.05737',
    year: 2023,
  },
  options: v.object({
    bits: integer(1),
    codebooks: v.optional(integer(1), 1),
    scale: v.optional(numberBetween(0, Infinity), 1),
    entropyWeight: v.optional(numberFrom(0), 0.1),
    diversity: v.optional(numberFrom(0), 1),
    inverseTemperature: v.optional(numberBetween(0, Infinity), 100),
    groupSize: v.optional(integer(1)),
    softplusOffset: v.optional(v.number()),
    commitment: v.optional(numberFrom(0), 0),
    softClamp: v.optional(numberBetween(0, Infinity)),
    spherical: v.optional(v.boolean(), false),
    rotate: v.optional(v.boolean(), false),
    key: v.optional(keyOption()),
  }),
  create: (options) => {
    const { bits, codebooks, scale, spherical, commitment, softClamp: most, rotate } = options
    if (bits > 30) throw new RangeError(`bits: expected at most 30 per codebook, got ${bits}; use several codebooks`)
    if (most !== undefined && most < scale)
      throw new RangeError(`softClamp: expected at least the scale ${scale}, got ${most}`)
    const reach = spherical ? scale * bits ** -0.5 : scale
    const clamped = (z: tf.Tensor): tf.Tensor => (most === undefined ? z : softClamp(z, most))
    return new ScalarQuantizer({
      grid: binaryGrid(bits, reach, { prepare: (z) => (spherical ? tf.mul(onSphere(clamped(z)), scale) : clamped(z)) }),
      codebooks,
      rotate: rotate ? (options.key ?? makeKey(0)) : undefined,
      losses: {
        entropy: (batch) => entropyTerm(batch, reach, options),
        ...(commitment > 0 && { commitment: (batch: ScalarBatch) => tf.mul(commitment, meanSquare(batch)) }),
      },
    })
  },
})

/** `w (mean H(p_i) - gamma H(mean p_i))`, the mean over codebooks. */
function entropyTerm(
  { z, share }: ScalarBatch,
  reach: number,
  options: Pick<LfqOptions, 'groupSize' | 'softplusOffset'> &
    Required<Pick<LfqOptions, 'entropyWeight' | 'diversity' | 'inverseTemperature'>>,
): tf.Scalar {
  const { entropyWeight, diversity, inverseTemperature, softplusOffset } = options
  const [, codebooks, bits] = z.shape as [number, number, number]
  const groupSize = Math.min(options.groupSize ?? (bits <= 12 ? bits : 9), bits)
  // p(c) is a softmax of 2 tau z.c, which is a product over bits of sigmoid(±4 tau reach z).
  const logits = tf.mul(z, 4 * inverseTemperature * reach)
  const each = Array.from({ length: codebooks }, (_, c) => {
    const part = tf.reshape<tf.Rank.R2>(tf.slice(logits, [0, c, 0], [-1, 1, -1]), [-1, bits])
    const { perVector, ofMean } = bitEntropies(part, share, groupSize)
    return tf.sub(perVector, tf.mul(diversity, ofMean))
  })
  const mean = tf.div(
    each.reduce((a, b) => tf.add(a, b)),
    codebooks,
  )
  return tf.mul(entropyWeight, softplusOffset === undefined ? mean : tf.softplus(tf.add(mean, softplusOffset)))
}

/** Mean of the squared distance between vectors and their codes, over every element that counts. */
function meanSquare({ z, q, share }: ScalarBatch): tf.Scalar {
  return tf.sum(tf.mul(tf.mean(tf.square(tf.sub(z, stopGradient(q))), [1, 2]), share))
}

import * as tf from '@tensorflow/tfjs-core'
import { defineMethod, integer, type Method, numberBetween, numberFrom, stopGradient } from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { binaryGrid, onSphere } from '../../scalar/binary.ts'
import { bitEntropies } from '../../scalar/entropy.ts'
import { type ScalarBatch, ScalarQuantizer } from '../../scalar/scalar-quantizer.ts'

export interface BsqOptions {
  /** dimensions of a codebook, each one bit: 2^bits codes; at most 30 */
  readonly bits: number
  /** codes per vector, each of `bits` dimensions; the sphere is that of the whole vector; default 1 */
  readonly codebooks?: number
  /** whether vectors are put on the unit sphere, and codes at ±1/sqrt(d); default true, else codes lie at ±1 */
  readonly normalise?: boolean
  /** weight of the mean over vectors of |z - sg[q]|^2 (beta); default 0.25 */
  readonly commitment?: number
  /** weight of both entropies (zeta); default 0.1 */
  readonly entropyWeight?: number
  /** weight of the entropy of each vector's code (gamma0); default 1 */
  readonly certainty?: number
  /** weight of the entropy of the mean distribution (gamma); default 1 */
  readonly diversity?: number
  /** inverse temperature of the soft assignment that entropies are taken of; default 1 */
  readonly inverseTemperature?: number
  /** `'group'` takes the entropy of the mean over groups of bits, `'analytical'` bit by bit; default `'group'` */
  readonly entropy?: 'group' | 'analytical'
  /** bits in a group, of which the last may be smaller; default 9 */
  readonly groupSize?: number
}

/**
 * Binary spherical quantization: vectors are put on the unit sphere and each dimension becomes its sign, so that the
 * error of a code is bounded; entropies cost as much as there are bits.
 * arXiv 2406.07548
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const bsq: Method<BsqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/bsq',
  title: 'BSQ',
  summary: 'Signs of a vector on the unit sphere: the error is bounded, and entropies are taken bit by bit.',
  paper: { title: 'Image and Video Tokenization with Binary Spherical Quantization', arxiv: '2406.07548', year: 2024 },
  options: v.object({
    bits: integer(1),
    codebooks: v.optional(integer(1), 1),
    normalise: v.optional(v.boolean(), true),
    commitment: v.optional(numberFrom(0), 0.25),
    entropyWeight: v.optional(numberFrom(0), 0.1),
    certainty: v.optional(numberFrom(0), 1),
    diversity: v.optional(numberFrom(0), 1),
    inverseTemperature: v.optional(numberBetween(0, Infinity), 1),
    entropy: v.optional(v.picklist(['group', 'analytical']), 'group'),
    groupSize: v.optional(integer(1), 9),
  }),
  create: (options) => {
    const { bits, codebooks, normalise, commitment, entropyWeight, certainty, diversity, inverseTemperature } = options
    if (bits > 30) throw new RangeError(`bits: expected at most 30 per codebook, got ${bits}; use several codebooks`)
    const dim = bits * codebooks
    const groupSize = options.entropy === 'analytical' ? 1 : Math.min(options.groupSize, dim)
    const reach = normalise ? dim ** -0.5 : 1
    return new ScalarQuantizer({
      grid: binaryGrid(bits, reach, {
        prepare: (z) => (normalise ? tf.reshape(onSphere(tf.reshape(z, [-1, dim])), z.shape) : z),
        // The authors pass the sign straight through, and scale it after.
        slope: reach,
      }),
      codebooks,
      losses: {
        commitment: ({ z, q, share }) =>
          tf.mul(commitment, tf.sum(tf.mul(tf.sum(tf.square(tf.sub(z, stopGradient(q))), [1, 2]), share))),
        entropy: ({ z, share }: ScalarBatch) => {
          const logits = tf.reshape<tf.Rank.R2>(tf.mul(z, 4 * inverseTemperature * reach), [-1, dim])
          const { perVector, ofMean } = bitEntropies(logits, share, groupSize)
          const balance = tf.sub(tf.mul(certainty, perVector), tf.mul(diversity, ofMean))
          return tf.mul(entropyWeight / inverseTemperature, balance)
        },
      },
    })
  },
})

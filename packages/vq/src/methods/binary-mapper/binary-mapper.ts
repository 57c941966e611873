import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  defineMethod,
  integer,
  type Key,
  type Method,
  numberFrom,
  requireFinite,
  requireLastDimension,
  requireShape,
} from '@x/core-gpu'
import * as v from 'valibot'
import { hideMasked } from '../../indices.ts'
import { codeProbabilities } from '../../scalar/entropy.ts'
import { mixedRadix, type MixedRadix } from '../../scalar/mixed-radix.ts'
import { roundTo } from '../../scalar/round-to.ts'

export interface BinaryMapperOptions {
  /** logits per vector, each of one bit: 2^bits codes; at most 20 */
  readonly bits: number
  /** nats by which a code may differ from a coin's throw before it costs; default ln 2, one bit */
  readonly freeNats?: number
}

/** What a step of the mapper takes. */
export interface MapOptions {
  /** whether this is a training step: bits are drawn, the loss is computed, gradients pass; default false */
  readonly training?: boolean
  /** draws the bits; needed in training; without one each bit is the likelier one */
  readonly key?: Key
  /** divides the logits that bits are drawn by; default 1 */
  readonly temperature?: number
  /** `[...]`, true or 1 where a vector counts; the others get index -1 and zeros */
  readonly mask?: tf.Tensor
}

export type Mapping = {
  /** 1 at the code that was drawn, `[..., 2^bits]`, with the gradient of the codes' probabilities */
  readonly oneHot: tf.Tensor
  /** int32 `[...]`, the first bit least significant */
  readonly indices: tf.Tensor
  /** what to add to the objective; 0 outside training */
  readonly loss: tf.Scalar
  /** each loss by name */
  readonly terms: Record<string, tf.Scalar>
}

/**
 * Binary mapper: bits drawn from logits make a one-hot code; its gradient is that of the probability of every code.
 * arXiv 2510.17558
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const binaryMapper: Method<BinaryMapperOptions, BinaryMapper> = /* @__PURE__ */ defineMethod({
  id: 'vq/binary-mapper',
  title: 'Binary mapper',
  summary: 'Draws bits from logits and hands on a one-hot code, with the gradient of all codes’ probabilities.',
  paper: { title: 'The Free Transformer', arxiv: '2510.17558', year: 2025 },
  options: v.object({
    bits: integer(1),
    freeNats: v.optional(numberFrom(0), Math.LN2),
  }),
  create: (options) => {
    if (options.bits > 20) throw new RangeError(`bits: expected at most 20, got ${options.bits}`)
    return new BinaryMapper(options)
  },
})

/** Maps logits to one-hot codes; it is no `Quantizer`, because what comes out is wider than what goes in. */
export class BinaryMapper extends BaseModule {
  readonly bits: number
  readonly codebookSize: number
  readonly #freeNats: number
  readonly #radix: MixedRadix

  constructor({ bits, freeNats }: Required<BinaryMapperOptions>) {
    super()
    this.bits = bits
    this.codebookSize = 2 ** bits
    this.#freeNats = freeNats
    this.#radix = mixedRadix(Array.from({ length: bits }, () => 2))
  }

  /** @param logits `[..., bits]`, of each bit being 1 */
  map(logits: tf.Tensor, options: MapOptions = {}): Mapping {
    requireLastDimension('logits', logits, this.bits)
    requireFinite('logits', logits)
    const { training = false, key, temperature = 1, mask } = options
    const lead = logits.shape.slice(0, -1)
    if (mask) requireShape('mask', mask, lead)
    if (!(temperature > 0)) throw new RangeError(`temperature: expected a number > 0, got ${temperature}`)
    if (training && !key) throw new TypeError('key: bits are drawn in training, expected a key, got undefined')
    return tf.tidy(() => {
      const rows = tf.reshape<tf.Rank.R2>(logits, [-1, this.bits]) // [N, b]
      const likely = tf.sigmoid(tf.div(rows, temperature))
      const threshold = key ? key.uniform(rows.shape) : tf.fill(rows.shape, 0.5)
      const chosen = this.#radix.encode(tf.cast(tf.less(threshold, likely), 'float32')) as tf.Tensor1D // [N]
      const hard = tf.cast(tf.oneHot(chosen, this.codebookSize), 'float32') // [N, 2^b]
      const oneHot = training ? roundTo(this.#probabilities(rows), () => tf.clone(hard)) : hard
      const terms: Record<string, tf.Scalar> = training ? { information: this.#information(rows, mask) } : {}
      const wide = tf.reshape(oneHot, [...lead, this.codebookSize])
      const hidden = hideMasked(wide, tf.reshape(chosen, lead), mask)
      return {
        oneHot: hidden.quantized,
        indices: hidden.indices,
        loss: terms['information'] ? tf.clone(terms['information']) : tf.scalar(0),
        terms,
      }
    })
  }

  /**
   * How likely given codes are: the sum of log-probabilities of their bits.
   * @param logits `[..., bits]`
   * @param indices int32 `[...]`
   * @returns `[...]`
   */
  logProbability(logits: tf.Tensor, indices: tf.Tensor): tf.Tensor {
    requireLastDimension('logits', logits, this.bits)
    requireShape('indices', indices, logits.shape.slice(0, -1))
    return tf.tidy(() => {
      const signs = tf.sub(tf.mul(this.#radix.decode(indices), 2), 1) // [..., b]
      return tf.neg(tf.sum(tf.softplus(tf.neg(tf.mul(signs, logits))), -1))
    })
  }

  /** @returns the bits of every code, `[2^bits, bits]` */
  codebook(): tf.Tensor2D {
    return tf.tidy(() => this.#radix.decode(tf.range(0, this.codebookSize, 1, 'int32')) as tf.Tensor2D)
  }

  /** Of each code, `[N, 2^b]`. */
  #probabilities(rows: tf.Tensor2D): tf.Tensor2D {
    // Products have the first bit most significant.
    const reversed = tf.reverse(rows, 1)
    return tf.reshape<tf.Rank.R2>(codeProbabilities(tf.expandDims(reversed, 0)), [-1, this.codebookSize])
  }

  /** Mean over vectors of relu(KL to fair coins - what is free). */
  #information(rows: tf.Tensor2D, mask: tf.Tensor | undefined): tf.Scalar {
    const entropy = tf.sum(tf.sub(tf.softplus(rows), tf.mul(rows, tf.sigmoid(rows))), 1) // [N]
    const excess = tf.relu(tf.sub(this.bits * Math.LN2 - this.#freeNats, entropy))
    if (!mask) return tf.mean(excess)
    const counts = tf.reshape(tf.cast(mask, 'float32'), [-1])
    return tf.div(tf.sum(tf.mul(excess, counts)), tf.maximum(tf.sum(counts), 1))
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, requireFinite, requireLastDimension, requireShape } from '@x/core-gpu'
import type { Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'
import { joinIndices, requirePartIndices, sizesOf, splitIndices, stackCodebooks } from './indices.ts'

export interface GroupedOptions {
  /** whether the groups' losses are added, or their mean is taken; default `'sum'` */
  readonly reduce?: 'sum' | 'mean'
}

/**
 * Splits a vector into parts and quantizes each by a quantizer of its own: product quantization, or with residual
 * quantizers the group-residual one of arXiv 2305.02765.
 *
 * Indices are `[..., c]`, group after group. All groups get the same key, so that residual groups leave out the same layers.
 * Terms are called `groups.<g>.<name>`.
 */
export class GroupedQuantizer extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  readonly groups: readonly Quantizer[]
  readonly #reduce: 'sum' | 'mean'

  /** @throws RangeError without a group */
  constructor(groups: readonly Quantizer[], options: GroupedOptions = {}) {
    super()
    if (groups.length === 0) throw new RangeError('groups: expected at least one')
    const { codebookSize, codebooks } = sizesOf(groups)
    this.dim = groups.reduce((sum, { dim }) => sum + dim, 0)
    this.codebookSize = codebookSize
    this.codebooks = codebooks
    this.groups = groups
    this.#reduce = options.reduce ?? 'sum'
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    requireFinite('z', z)
    const lead = z.shape.slice(0, -1)
    if (options.mask) requireShape('mask', options.mask, lead)
    return tf.tidy(() => {
      const weight = this.#reduce === 'mean' ? 1 / this.groups.length : 1
      const outs = this.#parts(z).map((part, g) => this.groups[g]!.quantize(part, options))
      const terms = Object.fromEntries(
        outs.flatMap((out, g) =>
          Object.entries(out.terms).map(([name, term]) => [`groups.${g}.${name}`, tf.mul(term, weight) as tf.Scalar]),
        ),
      )
      return {
        quantized: tf.concat(
          outs.map(({ quantized }) => quantized),
          -1,
        ),
        indices: joinIndices(
          outs.map(({ indices }) => indices),
          lead,
        ),
        loss: Object.values(terms).reduce<tf.Scalar>((sum, term) => tf.add(sum, term), tf.scalar(0)),
        terms,
      }
    })
  }

  decode(indices: tf.Tensor): tf.Tensor {
    requirePartIndices(indices, this)
    return tf.tidy(() =>
      tf.concat(
        splitIndices(indices, this.groups, this.codebooks === 1).map((part, g) => this.groups[g]!.decode(part)),
        -1,
      ),
    )
  }

  codebook(): tf.Tensor {
    return stackCodebooks(this.groups)
  }

  /** `[..., d]` to each group's part. */
  #parts(z: tf.Tensor): tf.Tensor[] {
    let from = 0
    return this.groups.map(({ dim }) => {
      const begin = [...z.shape.slice(0, -1).map(() => 0), from]
      from += dim
      return tf.slice(z, begin, [...z.shape.slice(0, -1), dim])
    })
  }
}

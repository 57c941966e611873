import {
  defineMethod,
  integer,
  key as makeKey,
  type Key,
  keyOption,
  Linear,
  type Method,
  numberBetween,
  numberFrom,
} from '@x/core-gpu'
import * as v from 'valibot'
import { transported } from '../../assignment/transported.ts'
import { LinearCodebook } from '../../codebooks/linear.ts'
import { crossEntropyLoss } from '../../losses/cross-entropy.ts'
import { codebookLoss, commitmentLoss, type LossTerm } from '../../losses/losses.ts'
import { functionOption } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface OptvqOptions {
  /** size of the vectors' last dimension */
  readonly dim: number
  /** K, the number of codes */
  readonly codebookSize: number
  /** what scaled costs are multiplied by in the plan: large is near the cheapest; default 10 */
  readonly epsilon?: number
  /** iterations of Sinkhorn's balancing; default 5 */
  readonly iterations?: number
  /** whether codes are drawn by the plan (training then needs keys) or the largest share taken; default true */
  readonly draw?: boolean
  /** what pulls vectors and codes together: cross-entropy to the codes taken, or squared distances; default `'crossEntropy'` */
  readonly loss?: 'crossEntropy' | 'squares'
  /** beta, weight of the codes' term of `'squares'`; default 1 */
  readonly codebookWeight?: number
  /** further terms for a training step; default: none */
  readonly losses?: Readonly<Record<string, LossTerm>>
  /** draws the codes and their map; default `key(0)` */
  readonly key?: Key
}

/**
 * OptVQ: in training vectors are given out to codes by optimal transport, which leaves no code without: trained codes under a
 * trained linear map x transport x straight-through. arXiv 2412.15195
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const optvq: Method<OptvqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/optvq',
  title: 'OptVQ',
  summary: 'Gives vectors out to codes by optimal transport while training, so that every code gets its share of them.',
  paper: {
    title: 'Preventing Local Pitfalls in Vector Quantization via Optimal Transport',
    arxiv: '2412.15195',
    year: 2024,
  },
  options: v.object({
    dim: integer(1),
    codebookSize: integer(1),
    epsilon: v.optional(numberBetween(0, Infinity), 10),
    iterations: v.optional(integer(1), 5),
    draw: v.optional(v.boolean(), true),
    loss: v.optional(v.picklist(['crossEntropy', 'squares']), 'crossEntropy'),
    codebookWeight: v.optional(numberFrom(0), 1),
    losses: v.optional(v.record(v.string(), functionOption<LossTerm>())),
    key: v.optional(keyOption()),
  }),
  create: (options) => {
    const { dim, codebookSize, codebookWeight } = options
    const [codesKey, mapKey] = (options.key ?? makeKey(0)).split(2) as [Key, Key]
    // Codes of variance 1 in each dimension, as the authors': theirs are normal and the map scaled down, here it is the codes.
    const transform = new Linear(dim, dim, { key: mapKey, init: (shape, _, at) => at.normal(shape) })
    return new CodebookQuantizer({
      codebook: new LinearCodebook(codebookSize, dim, { transform, trainable: true, key: codesKey }),
      assign: transported(options),
      losses: {
        ...(options.loss === 'squares'
          ? { commitment: commitmentLoss(1), codebook: codebookLoss(codebookWeight) }
          : { crossEntropy: crossEntropyLoss() }),
        ...options.losses,
      },
    })
  },
})

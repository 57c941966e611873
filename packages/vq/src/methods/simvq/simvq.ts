import { defineMethod, integer, isModule, type Key, keyOption, type Layer, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { LinearCodebook } from '../../codebooks/linear.ts'
import { type Estimator, straightThrough } from '../../estimators/estimator.ts'
import { codebookLoss, commitmentLoss, type LossTerm } from '../../losses/losses.ts'
import { functionOption } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface SimvqOptions {
  /** size of the vectors' last dimension */
  readonly dim: number
  /** K, the number of codes */
  readonly codebookSize: number
  /** the map from frozen to used codes: full, a scale per dimension, or a layer of one's own; default `'linear'` */
  readonly transform?: 'linear' | 'diagonal' | Layer
  /** whether the linear map has a bias; without one the codes stay centred at 0; default true */
  readonly bias?: boolean
  /** size of the frozen codes; default `dim` */
  readonly codeDim?: number
  /** whether the codes under the map are trained too; default false */
  readonly trainableCodes?: boolean
  /** weight of the term that keeps vectors near their codes; default 0.25 */
  readonly commitment?: number
  /** weight of the term that trains the map; default 1 */
  readonly codebookWeight?: number
  /** how the gradient passes the choice; default `straightThrough`, the rotation trick works too */
  readonly estimator?: Estimator
  /** further terms for a training step, such as `diversityLoss()`; default: none */
  readonly losses?: Readonly<Record<string, LossTerm>>
  /** draws the frozen codes and the map; default `key(0)` */
  readonly key?: Key
}

/**
 * SimVQ: fixed random codes under one trained linear map, so that every step moves every code: linear codes x nearest x
 * straight-through. arXiv 2411.02038
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const simvq: Method<SimvqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/simvq',
  title: 'SimVQ',
  summary: 'One trained linear map moves all codes together, so that none is left behind while the others learn.',
  paper: {
    title: 'Addressing Representation Collapse in Vector Quantized Models with One Linear Layer',
    arxiv: '2411.02038',
    year: 2024,
  },
  options: v.object({
    dim: integer(1),
    codebookSize: integer(1),
    transform: v.optional(
      v.union([v.picklist(['linear', 'diagonal']), v.custom<Layer>(isModule, 'a layer')]),
      'linear',
    ),
    bias: v.optional(v.boolean(), true),
    codeDim: v.optional(integer(1)),
    trainableCodes: v.optional(v.boolean(), false),
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
    estimator: v.optional(functionOption<Estimator>(), () => straightThrough),
    losses: v.optional(v.record(v.string(), functionOption<LossTerm>())),
    key: v.optional(keyOption()),
  }),
  create: (options) =>
    new CodebookQuantizer({
      codebook: new LinearCodebook(options.codebookSize, options.dim, {
        ...options,
        trainable: options.trainableCodes,
      }),
      estimate: options.estimator,
      losses: {
        codebook: codebookLoss(options.codebookWeight),
        commitment: commitmentLoss(options.commitment),
        ...options.losses,
      },
    }),
})

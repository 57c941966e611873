import { defineMethod, integer, key as makeKey, type Key, keyOption, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { VqBridge } from '../../codebooks/bridge.ts'
import { LinearCodebook } from '../../codebooks/linear.ts'
import { type Estimator } from '../../estimators/estimator.ts'
import { codebookLoss, commitmentLoss, type LossTerm } from '../../losses/losses.ts'
import { choiceEntries, functionOption } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface VqBridgeMethodOptions {
  /** size of the vectors' last dimension */
  readonly dim: number
  /** K, the number of codes */
  readonly codebookSize: number
  /** codes in a token of the bridge; must divide their number; default: the least that gives at most 256 tokens */
  readonly patch?: number
  /** features of a token; default 128 */
  readonly width?: number
  /** transformer blocks; default 2 */
  readonly depth?: number
  /** attention heads; default 4 */
  readonly heads?: number
  /** weight of the term that keeps vectors near their codes; default 0.25 */
  readonly commitment?: number
  /** weight of the term that trains codes and bridge; default 1 */
  readonly codebookWeight?: number
  /** how the gradient passes the choice; default `straightThrough` */
  readonly estimator?: Estimator
  /** further terms for a training step, such as `entropyLoss()`; default: none */
  readonly losses?: Readonly<Record<string, LossTerm>>
  /** draws the codes and the bridge; default `key(0)` */
  readonly key?: Key
}

/**
 * FVQ: a small transformer over the codebook, trained with it, through which every chosen code moves all the others: bridged
 * codes x nearest x straight-through. arXiv 2509.10140
 *
 * The bridge is for training: `bake()` leaves the codes alone.
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const vqBridge: Method<VqBridgeMethodOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/vq-bridge',
  title: 'VQBridge',
  summary: 'A small transformer over the codebook lets every step move all codes, each in its own way.',
  paper: {
    title: 'Scalable Training for Vector-Quantized Networks with 100% Codebook Utilization',
    arxiv: '2509.10140',
    year: 2025,
  },
  options: v.object({
    dim: integer(1),
    codebookSize: integer(1),
    patch: v.optional(integer(1)),
    width: v.optional(integer(1)),
    depth: v.optional(integer(1)),
    heads: v.optional(integer(1)),
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
    estimator: choiceEntries.estimator,
    losses: v.optional(v.record(v.string(), functionOption<LossTerm>())),
    key: v.optional(keyOption()),
  }),
  create: (options) => {
    const { dim, codebookSize } = options
    const [codesKey, bridgeKey] = (options.key ?? makeKey(0)).split(2) as [Key, Key]
    const transform = new VqBridge(codebookSize, dim, { ...options, key: bridgeKey })
    return new CodebookQuantizer({
      codebook: new LinearCodebook(codebookSize, dim, { transform, trainable: true, key: codesKey }),
      estimate: options.estimator,
      losses: {
        codebook: codebookLoss(options.codebookWeight),
        commitment: commitmentLoss(options.commitment),
        ...options.losses,
      },
    })
  },
})

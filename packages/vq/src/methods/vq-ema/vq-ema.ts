import { defineMethod, isModule, type Method, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { EmaCodebook } from '../../codebooks/ema.ts'
import { commitmentLoss } from '../../losses/losses.ts'
import { cosine, euclidean } from '../../metric.ts'
import { choiceEntries, type ChoiceOptions, codebookEntries, type CodebookOptions, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface VqEmaOptions extends CodebookOptions, ChoiceOptions {
  /** how much of the running means a step keeps; default 0.99 */
  readonly decay?: number
  /** keeps the sizes of rarely chosen codes from 0; default 1e-5 */
  readonly epsilon?: number
  /** weight of the term that keeps vectors near their codes; default 0.25 */
  readonly commitment?: number
  /** `'cosine'` compares directions: vectors and codes are put on the unit sphere; default `'euclidean'` */
  readonly metric?: 'euclidean' | 'cosine'
}

/**
 * Vector quantization whose codes are running means of the vectors that chose them: averaged codes x nearest x
 * straight-through. arXiv 1711.00937, appendix A
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const vqEma: Method<VqEmaOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/vq-ema',
  title: 'VQ-EMA',
  summary:
    'Codes follow the running mean of their vectors, without an optimizer; k-means and revival keep them in use.',
  paper: { title: 'Neural Discrete Representation Learning', arxiv: '1711.00937', year: 2017 },
  options: v.object({
    ...codebookEntries,
    ...choiceEntries,
    decay: v.optional(numberBetween(0, 1), 0.99),
    epsilon: v.optional(numberFrom(0), 1e-5),
    commitment: v.optional(numberFrom(0), 0.25),
    metric: v.optional(v.picklist(['euclidean', 'cosine']), 'euclidean'),
  }),
  create: (options) => {
    const metric = options.metric === 'cosine' ? cosine : euclidean
    const { decay, deadCodes } = options
    return new CodebookQuantizer({
      codebook: new EmaCodebook(options.codebookSize, options.dim, { ...options, metric }),
      assign: options.assign,
      estimate: options.estimator,
      metric,
      losses: { commitment: commitmentLoss(options.commitment), ...options.losses },
      // Codes and their revival count with the same memory unless told otherwise.
      ...dataParts({ ...options, deadCodes: isModule(deadCodes) ? deadCodes : deadCodes && { decay, ...deadCodes } }),
    })
  },
})

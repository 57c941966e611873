import { defineMethod, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { FreeCodebook } from '../../codebooks/free.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { choiceEntries, type ChoiceOptions, codebookEntries, type CodebookOptions, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface VqOptions extends CodebookOptions, ChoiceOptions {
  /** weight of the term that keeps vectors near their codes (the paper's beta); default 0.25 */
  readonly commitment?: number
  /** weight of the term that pulls codes to their vectors; default 1 */
  readonly codebookWeight?: number
}

/**
 * Vector quantization with a codebook trained by gradient: free codes x nearest x straight-through.
 * arXiv 1711.00937
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const vq: Method<VqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/vq',
  title: 'VQ',
  summary: 'The codebook of VQ-VAE, trained by gradient: simple, and prone to leave most of its codes unused.',
  paper: { title: 'Neural Discrete Representation Learning', arxiv: '1711.00937', year: 2017 },
  options: v.object({
    ...codebookEntries,
    ...choiceEntries,
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
  }),
  create: (options) =>
    new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, options),
      assign: options.assign,
      estimate: options.estimator,
      losses: {
        codebook: codebookLoss(options.codebookWeight),
        commitment: commitmentLoss(options.commitment),
        ...options.losses,
      },
      ...dataParts(options),
    }),
})

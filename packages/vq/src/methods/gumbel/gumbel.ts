import { defineMethod, type Method, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { sampled } from '../../assignment/sampled.ts'
import { FreeCodebook } from '../../codebooks/free.ts'
import { softIndexEstimator } from '../../estimators/soft-index.ts'
import { uniformPriorLoss } from '../../losses/entropy.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { codebookEntries, type CodebookOptions, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface GumbelOptions extends CodebookOptions {
  /** how far from the nearest code draws go, and how soft the gradient is; default 1 */
  readonly temperature?: number
  /** weight of the divergence of a vector's choices from an even one, which keeps them open; default 5e-4 */
  readonly prior?: number
  /** weight of the term that keeps vectors near their codes; default 0.25 */
  readonly commitment?: number
  /** weight of the term that pulls codes to their vectors; default 1 */
  readonly codebookWeight?: number
}

/**
 * Gumbel-softmax quantization: in training a code is drawn by its distance, and the gradient is that of the softmax it was
 * drawn from: free codes x drawn x through the index. Training needs keys. arXiv 1611.01144
 *
 * Both passes of training cost a score per vector and code, and hold a block of rows of them at a time.
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const gumbel: Method<GumbelOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/gumbel',
  title: 'Gumbel-softmax',
  summary:
    'Draws codes by their distance while training and differentiates the odds, so that every code gets a gradient.',
  paper: { title: 'Categorical Reparameterization with Gumbel-Softmax', arxiv: '1611.01144', year: 2016 },
  options: v.object({
    ...codebookEntries,
    temperature: v.optional(numberBetween(0, Infinity), 1),
    prior: v.optional(numberFrom(0), 5e-4),
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
  }),
  create: (options) => {
    const { temperature } = options
    return new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, options),
      assign: sampled({ temperature }),
      estimate: softIndexEstimator({ temperature }),
      losses: {
        codebook: codebookLoss(options.codebookWeight),
        commitment: commitmentLoss(options.commitment),
        prior: uniformPriorLoss(options.prior, { temperature: 1 / temperature }),
        ...options.losses,
      },
      ...dataParts(options),
    })
  },
})

import { defineMethod, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { FreeCodebook } from '../../codebooks/free.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { wassersteinLoss } from '../../losses/wasserstein.ts'
import { choiceEntries, codebookEntries, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'
import type { VqOptions } from '../vq/vq.ts'

export interface WassersteinVqOptions extends VqOptions {
  /** weight of the distance between the distributions of vectors and codes; default 0.5 */
  readonly matching?: number
  /** weight of the term that keeps vectors near their codes; default 1, as the authors' */
  readonly commitment?: number
}

/**
 * Wasserstein VQ: beside VQ's terms the codes are asked to be spread as the vectors are, in mean and covariance: free codes x
 * nearest x straight-through x matching. arXiv 2506.15078
 *
 * Each batch is matched by itself; it should hold many more vectors than they have dimensions.
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const wassersteinVq: Method<WassersteinVqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/wasserstein-vq',
  title: 'Wasserstein VQ',
  summary:
    'Matches the mean and covariance of the codes to those of the vectors, which moves the whole codebook to the data.',
  paper: {
    title: 'Enhancing Vector Quantization with Distributional Matching: A Theoretical and Empirical Study',
    arxiv: '2506.15078',
    year: 2025,
  },
  options: v.object({
    ...codebookEntries,
    ...choiceEntries,
    commitment: v.optional(numberFrom(0), 1),
    codebookWeight: v.optional(numberFrom(0), 1),
    matching: v.optional(numberFrom(0), 0.5),
  }),
  create: (options) =>
    new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, options),
      assign: options.assign,
      estimate: options.estimator,
      losses: {
        codebook: codebookLoss(options.codebookWeight),
        commitment: commitmentLoss(options.commitment),
        matching: wassersteinLoss(options.matching),
        ...options.losses,
      },
      ...dataParts(options),
    }),
})

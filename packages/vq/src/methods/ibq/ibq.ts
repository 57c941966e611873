import { defineMethod, type Method, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { largestDot } from '../../assignment/sampled.ts'
import { FreeCodebook } from '../../codebooks/free.ts'
import { softIndexEstimator } from '../../estimators/soft-index.ts'
import { entropyLoss } from '../../losses/entropy.ts'
import { valueLoss } from '../../losses/index-propagation.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { codebookEntries, type CodebookOptions, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface IbqOptions extends CodebookOptions {
  /** weight of the codebook's own term, the authors' beta; default 0.25 */
  readonly codebookWeight?: number
  /** weight of the term that keeps vectors near their codes; default 1 */
  readonly commitment?: number
  /** asks for certain choices and an even use of codes; default: no */
  readonly entropy?: { readonly weight?: number; readonly temperature?: number }
}

/**
 * Index backpropagation: the gradient goes through a softmax over all codes, so that each step moves the whole codebook:
 * free codes x largest product x through the index. arXiv 2412.02692
 *
 * The backward pass costs a product per vector and code, and holds a block of rows of them at a time.
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const ibq: Method<IbqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/ibq',
  title: 'IBQ',
  summary: 'The gradient passes through a softmax over all codes: none is left behind, at the cost of a full product.',
  paper: {
    title: 'Scalable Image Tokenization with Index Backpropagation Quantization',
    arxiv: '2412.02692',
    year: 2024,
  },
  options: v.object({
    ...codebookEntries,
    codebookWeight: v.optional(numberFrom(0), 0.25),
    commitment: v.optional(numberFrom(0), 1),
    entropy: v.optional(
      v.strictObject({
        weight: v.optional(numberFrom(0), 0.05),
        temperature: v.optional(numberBetween(0, Infinity), 0.01),
      }),
    ),
  }),
  create: (options) => {
    const { entropy } = options
    return new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, options),
      assign: largestDot,
      estimate: softIndexEstimator({ score: 'dot' }),
      losses: {
        value: valueLoss(),
        commitment: commitmentLoss(options.commitment),
        codebook: codebookLoss(options.codebookWeight),
        ...(entropy && {
          entropy: entropyLoss(entropy.weight, { score: 'dot', temperature: 1 / entropy.temperature }),
        }),
        ...options.losses,
      },
      ...dataParts(options),
    })
  },
})

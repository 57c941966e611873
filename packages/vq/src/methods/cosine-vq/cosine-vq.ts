import { defineMethod, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { FreeCodebook } from '../../codebooks/free.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { cosine } from '../../metric.ts'
import { choiceEntries, codebookEntries, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'
import type { VqOptions } from '../vq/vq.ts'

export type CosineVqOptions = VqOptions

/**
 * Vector quantization of directions: vectors and codes are scaled to length 1, so that the nearest code is the one of
 * largest cosine: free codes on the sphere x nearest x straight-through. arXiv 2110.04627, section 3.2
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const cosineVq: Method<CosineVqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/cosine-vq',
  title: 'Cosine VQ',
  summary:
    'Compares directions: vectors and codes are put on the unit sphere, where no code is out of reach by its length.',
  paper: { title: 'Vector-quantized Image Modeling with Improved VQGAN', arxiv: '2110.04627', year: 2021 },
  options: v.object({
    ...codebookEntries,
    ...choiceEntries,
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
  }),
  create: (options) =>
    new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, { ...options, metric: cosine }),
      assign: options.assign,
      estimate: options.estimator,
      metric: cosine,
      losses: {
        codebook: codebookLoss(options.codebookWeight),
        commitment: commitmentLoss(options.commitment),
        ...options.losses,
      },
      ...dataParts(options),
    }),
})

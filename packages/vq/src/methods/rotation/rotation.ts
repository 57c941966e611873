import { defineMethod, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { FreeCodebook } from '../../codebooks/free.ts'
import { rotationTrick } from '../../estimators/rotation.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { codebookEntries, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'
import type { VqOptions } from '../vq/vq.ts'

export interface RotationMethodOptions extends Omit<VqOptions, 'assign' | 'estimator'> {
  /** whether the gradient is scaled by |q| / |z|, as in the paper; default true */
  readonly scaled?: boolean
}

/**
 * The rotation trick: free codes x nearest x a gradient that is turned along with the vector.
 * arXiv 2410.06424
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const rotation: Method<RotationMethodOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/rotation',
  title: 'Rotation trick',
  summary: 'VQ whose gradient is rotated from the vector onto its code: it tells where in its cell a vector lies.',
  paper: {
    title: 'Restructuring Vector Quantization with the Rotation Trick',
    arxiv: '2410.06424',
    year: 2024,
  },
  options: v.object({
    ...codebookEntries,
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
    scaled: v.optional(v.boolean(), true),
  }),
  create: (options) =>
    new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, options),
      estimate: rotationTrick({ scaled: options.scaled }),
      losses: {
        codebook: codebookLoss(options.codebookWeight),
        commitment: commitmentLoss(options.commitment),
        ...options.losses,
      },
      ...dataParts(options),
    }),
})

import { defineMethod, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import { FreeCodebook } from '../../codebooks/free.ts'
import { noiseEstimator } from '../../estimators/directional.ts'
import { codebookEntries, type CodebookOptions, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export type NsvqOptions = CodebookOptions

/**
 * Noise substitution: in training the error of quantization is replaced by noise of the same length, which is differentiable
 * towards vectors and codes: free codes x nearest x noise. Training needs keys.
 * Vali and Bäckström 2022, DOI 10.1109/ACCESS.2022.3147670; restated in arXiv 2509.26469
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const nsvq: Method<NsvqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/nsvq',
  title: 'NSVQ',
  summary:
    'Stands noise of the right length for the error while training: a gradient for codes, without a loss of its own.',
  // The method's own paper is not on arXiv; this one restates it and compares with it.
  paper: {
    title: 'DiVeQ: Differentiable Vector Quantization Using the Reparameterization Trick',
    arxiv: '2509.26469',
    year: 2025,
  },
  options: v.object({ ...codebookEntries }),
  create: (options) =>
    new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, options),
      estimate: noiseEstimator,
      losses: { ...options.losses },
      ...dataParts(options),
    }),
})

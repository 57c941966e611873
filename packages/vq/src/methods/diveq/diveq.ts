import { defineMethod, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { FreeCodebook } from '../../codebooks/free.ts'
import { directionalEstimator } from '../../estimators/directional.ts'
import { codebookEntries, type CodebookOptions, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'
import { RareCodes } from '../../revival/rare-codes.ts'

export interface DiveqOptions extends CodebookOptions {
  /** standard deviation of the noise on the direction; default 1e-3 */
  readonly noise?: number
  /** default: `new RareCodes(codebookSize)`, the paper's rule */
  readonly deadCodes?: CodebookOptions['deadCodes']
}

/**
 * DiVeQ: the error of quantization as a reparameterised shift, differentiable towards vectors and codes, so that no loss of
 * its own is needed: free codes x nearest x directional. Training needs keys. arXiv 2509.26469
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const diveq: Method<DiveqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/diveq',
  title: 'DiVeQ',
  summary:
    'Moves the vector onto its code by a shift whose length has a gradient: codes train from the task’s loss alone.',
  paper: {
    title: 'DiVeQ: Differentiable Vector Quantization Using the Reparameterization Trick',
    arxiv: '2509.26469',
    year: 2025,
  },
  options: v.object({ ...codebookEntries, noise: v.optional(numberFrom(0), 1e-3) }),
  create: (options) =>
    new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, options),
      estimate: directionalEstimator({ noise: options.noise }),
      losses: { ...options.losses },
      ...dataParts({ ...options, deadCodes: options.deadCodes ?? new RareCodes(options.codebookSize) }),
    }),
})

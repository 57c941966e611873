import { defineMethod, integer, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { FreeCodebook } from '../../codebooks/free.ts'
import { nearestSegment, spaceFillingEstimator } from '../../estimators/space-filling.ts'
import { codebookEntries, type CodebookOptions, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface SfDiveqOptions extends CodebookOptions {
  /** standard deviation of the noise on the directions; default 1e-3 */
  readonly noise?: number
}

/**
 * Space-filling DiVeQ: in training vectors take points on the curve through all codes, so that every step moves neighbouring
 * codes together: free codes x nearest segment x directional towards both ends. Training needs keys. arXiv 2509.26469
 *
 * Outside training the nearest code is taken, so that indices decode to what was quantized; in training an index is that of
 * the first of the two codes.
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const sfDiveq: Method<SfDiveqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/sf-diveq',
  title: 'SF-DiVeQ',
  summary: 'Quantizes onto the curve through all codes while training, which pulls every code into the data.',
  paper: {
    title: 'DiVeQ: Differentiable Vector Quantization Using the Reparameterization Trick',
    arxiv: '2509.26469',
    year: 2025,
  },
  options: v.object({ ...codebookEntries, codebookSize: integer(2), noise: v.optional(numberFrom(0), 1e-3) }),
  create: (options) =>
    new CodebookQuantizer({
      codebook: new FreeCodebook(options.codebookSize, options.dim, options),
      assign: nearestSegment,
      estimate: spaceFillingEstimator({ noise: options.noise }),
      losses: { ...options.losses },
      ...dataParts(options),
    }),
})

import { defineMethod, integer, type Method, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { AffineCodebook, RunningAffineCodebook } from '../../codebooks/affine.ts'
import type { Codebook } from '../../codebooks/codebook.ts'
import { FreeCodebook } from '../../codebooks/free.ts'
import { InPlaceCodebook, type InPlaceOptions } from '../../codebooks/in-place.ts'
import { straightThrough, synchronised } from '../../estimators/estimator.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { codebookEntries, type CodebookOptions, dataParts } from '../../options.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'

export interface VqStePlusPlusOptions extends CodebookOptions {
  /** the map that codes share: trained, by running statistics of vectors and codes, or none; default `'learned'` */
  readonly affine?: 'learned' | 'running' | 'none'
  /** how fast a trained map learns beside the codes; default 1 */
  readonly affineRate?: number
  /** nu, the share of the decoder's gradient that codes get; default 0.2 */
  readonly synchronisation?: number
  /** beta, the codebook's share of the two terms; the vectors' is 1 - beta; default 0.95 */
  readonly beta?: number
  /** optimises the codebook inside each step instead of by the outer optimizer; excludes `synchronisation`; default: no */
  readonly inPlace?: InPlaceOptions
}

/**
 * Straight-through mended in three places: an affine map shared by all codes, codes that follow the decoder's gradient in the
 * same step, and, if asked for, codebook and encoder optimised in turn: affine codes x nearest x synchronised
 * straight-through. arXiv 2305.08842
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const vqStePlusPlus: Method<VqStePlusPlusOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/vq-ste-plus-plus',
  title: 'VQ-STE++',
  summary:
    'Codes share an affine map and get the decoder’s gradient in the same step: the codebook keeps up with the encoder.',
  paper: {
    title:
      'Straightening Out the Straight-Through Estimator: Overcoming Optimization Challenges in Vector Quantized Networks',
    arxiv: '2305.08842',
    year: 2023,
  },
  options: v.object({
    ...codebookEntries,
    affine: v.optional(v.picklist(['learned', 'running', 'none']), 'learned'),
    affineRate: v.optional(numberBetween(0, Infinity), 1),
    synchronisation: v.optional(numberFrom(0)),
    beta: v.optional(numberFrom(0, 1), 0.95),
    inPlace: v.optional(
      v.strictObject({
        learningRate: v.optional(numberBetween(0, Infinity)),
        steps: v.optional(integer(1)),
      }),
    ),
  }),
  create: (options) => {
    const { inPlace, beta } = options
    if (inPlace && options.synchronisation)
      throw new RangeError('synchronisation: codes optimised in place get no gradient from the decoder, expected 0')
    const nu = options.synchronisation ?? (inPlace ? 0 : 0.2)
    const codebook = mapped(new FreeCodebook(options.codebookSize, options.dim, options), options)
    return new CodebookQuantizer({
      codebook: inPlace ? new InPlaceCodebook(codebook, inPlace) : codebook,
      estimate: synchronised(straightThrough, nu),
      losses: { codebook: codebookLoss(beta), commitment: commitmentLoss(1 - beta), ...options.losses },
      ...dataParts(options),
    })
  },
})

function mapped(codes: Codebook, { affine, affineRate }: { affine: string; affineRate: number }): Codebook {
  if (affine === 'learned') return new AffineCodebook(codes, { rate: affineRate })
  return affine === 'running' ? new RunningAffineCodebook(codes) : codes
}

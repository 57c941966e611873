import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, sigmaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { stepwise } from '../stepwise.ts'

export interface DdimOptions {
  /** from 0, no noise is added, to 1, as much as DDPM adds; default 0 */
  readonly eta?: number
}

/**
 * DDIM: the noise that the denoiser leaves is put back, in part replaced by fresh noise. One call a step, order 1.
 *
 * Samples need a key where `eta` is above 0. arXiv 2010.02502
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const ddim: SamplerMethod<DdimOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/ddim',
  title: 'DDIM',
  summary: 'Predicts the clean sample and puts the same noise back at the next level: one call a step, order 1.',
  paper: { title: 'Denoising Diffusion Implicit Models', arxiv: '2010.02502', year: 2020 },
  options: v.object({ eta: v.optional(numberFrom(0, 1), 0) }),
  create: ({ eta }) =>
    stepwise(
      ({ denoise, noise }) =>
        (x, { step, from, to }) => {
          const denoised = denoise(x, from)
          const fresh = eta * (sigmaOf(to) / sigmaOf(from)) * Math.sqrt(1 - (alphaOf(from) / alphaOf(to)) ** 2)
          const kept = Math.sqrt(sigmaOf(to) ** 2 - fresh ** 2) / sigmaOf(from)
          const deterministic = [
            [kept, x],
            [alphaOf(to) - kept * alphaOf(from), denoised],
          ] as const
          return {
            x: fresh === 0 ? combine(...deterministic) : combine(...deterministic, [fresh, noise(step)]),
            denoised,
          }
        },
      { draws: eta > 0 },
    ),
})

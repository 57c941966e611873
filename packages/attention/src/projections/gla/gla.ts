import { defineMethod, integer, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../../attention.ts'
import { commonEntries, type CommonOptions } from '../../options.ts'
import { latentAttention, latentEntries, type LatentOptions } from '../latent.ts'

export interface GlaOptions extends CommonOptions, LatentOptions {
  /** latents of a token; divides `heads` and `kvRank`; default 2 */
  readonly groups?: number
}

/**
 * Grouped latent attention: a token's latent in several parts, each of which serves heads of its own. arXiv 2505.21487
 *
 * Each part is normalised by itself, with one scale for all.
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const gla: Method<GlaOptions, Attention> = /* @__PURE__ */ defineMethod({
  id: 'attention/gla',
  title: 'GLA',
  summary: 'Several narrow latents for each token, each for a group of heads, which devices can share out.',
  paper: { title: 'Hardware-Efficient Attention for Fast Decoding', arxiv: '2505.21487', year: 2025 },
  options: v.object({ ...commonEntries, ...latentEntries, groups: v.optional(integer(1), 2) }),
  create: latentAttention,
})

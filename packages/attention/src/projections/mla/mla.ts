import { defineMethod, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../../attention.ts'
import { commonEntries, type CommonOptions } from '../../options.ts'
import { latentAttention, latentEntries, type LatentOptions } from '../latent.ts'

export interface MlaOptions extends CommonOptions, LatentOptions {}

/**
 * Multi-head latent attention: of a token a latent and one turned key are remembered, from which each head makes keys and
 * values, or into whose space its queries are taken. arXiv 2405.04434
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const mla: Method<MlaOptions, Attention> = /* @__PURE__ */ defineMethod({
  id: 'attention/mla',
  title: 'MLA',
  summary: 'A cache holds one latent for each token, of which all heads make keys and values of their own.',
  paper: {
    title: 'DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model',
    arxiv: '2405.04434',
    year: 2024,
  },
  options: v.object({ ...commonEntries, ...latentEntries }),
  create: (options) => latentAttention({ ...options, groups: 1 }),
})

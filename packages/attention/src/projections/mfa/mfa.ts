import { defineMethod, integer, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import { type GroupedAttention, groupedAttention, headEntries, type HeadOptions } from '../grouped.ts'

export interface MfaOptions extends HeadOptions {
  /** rank of the queries' projection */
  readonly queryRank: number
}

/**
 * Multi-matrix factorization attention: one wide head of keys and values for all, and queries through a matrix of low rank,
 * so that there can be more and wider heads for the same weights. No norm on the low-rank queries. arXiv 2412.19255
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const mfa: Method<MfaOptions, GroupedAttention> = /* @__PURE__ */ defineMethod({
  id: 'attention/mfa',
  title: 'MFA',
  summary: 'Many wide heads of queries, made by matrices of low rank, read one head of keys and values.',
  paper: {
    title: 'Multi-matrix Factorization Attention',
    arxiv: '2412.19255',
    year: 2024,
  },
  options: v.object({ ...headEntries, queryRank: integer(1) }),
  create: (options) => groupedAttention({ ...options, groups: 1 }),
})

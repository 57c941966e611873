import { defineMethod, integer, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import { type GroupedAttention, groupedAttention, headEntries, type HeadOptions } from '../grouped.ts'

export interface GqaOptions extends HeadOptions {
  /** g, heads of keys and values; divides `heads` */
  readonly groups: number
}

/**
 * Grouped-query attention: heads of queries share keys and values in groups; MHA and MQA are its ends. arXiv 2305.13245
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const gqa: Method<GqaOptions, GroupedAttention> = /* @__PURE__ */ defineMethod({
  id: 'attention/gqa',
  title: 'GQA',
  summary: 'Groups of query heads share a head of keys and values, between one for each and one for all.',
  paper: {
    title: 'GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints',
    arxiv: '2305.13245',
    year: 2023,
  },
  options: v.object({ ...headEntries, groups: integer(1) }),
  create: groupedAttention,
})

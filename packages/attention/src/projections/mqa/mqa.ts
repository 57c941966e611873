import { defineMethod, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import { type GroupedAttention, groupedAttention, headEntries, type HeadOptions } from '../grouped.ts'

export interface MqaOptions extends HeadOptions {}

/**
 * Multi-query attention: all heads read one head of keys and values. arXiv 1911.02150
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const mqa: Method<MqaOptions, GroupedAttention> = /* @__PURE__ */ defineMethod({
  id: 'attention/mqa',
  title: 'MQA',
  summary: 'All heads of queries read one head of keys and values, so that a cache holds one instead of h.',
  paper: { title: 'Fast Transformer Decoding: One Write-Head is All You Need', arxiv: '1911.02150', year: 2019 },
  options: v.object({ ...headEntries }),
  create: (options) => groupedAttention({ ...options, groups: 1 }),
})

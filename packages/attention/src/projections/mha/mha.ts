import { defineMethod, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import { type GroupedAttention, groupedAttention, headEntries, type HeadOptions } from '../grouped.ts'

export interface MhaOptions extends HeadOptions {}

/**
 * Multi-head attention: keys and values of each head's own. arXiv 1706.03762
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const mha: Method<MhaOptions, GroupedAttention> = /* @__PURE__ */ defineMethod({
  id: 'attention/mha',
  title: 'MHA',
  summary: 'Every head has queries, keys and values of its own.',
  paper: { title: 'Attention Is All You Need', arxiv: '1706.03762', year: 2017 },
  options: v.object({ ...headEntries }),
  create: (options) => groupedAttention({ ...options, groups: options.heads }),
})

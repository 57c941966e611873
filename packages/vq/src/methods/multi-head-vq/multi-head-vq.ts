import { defineMethod, integer, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { GroupedQuantizer } from '../../structures/grouped.ts'
import { SharedHeads } from '../../structures/multi-head.ts'
import { makePart, partEntries, type PartOptions } from '../../structures/options.ts'

export interface MultiHeadVqOptions extends PartOptions {
  /** size of the vectors' last dimension */
  readonly dim: number
  /** K, the number of codes of a codebook */
  readonly codebookSize: number
  /** parts a vector is split into, a divisor of `dim` */
  readonly heads: number
  /** whether each head has a codebook of its own; default false: all heads' parts are vectors of one */
  readonly separate?: boolean
}

/**
 * Multi-head vector quantization: a vector is split into heads and each takes a code, from one codebook or each from its own.
 * arXiv 2207.11240
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const multiHeadVq: Method<MultiHeadVqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/multi-head-vq',
  title: 'Multi-head VQ',
  summary: 'Splits vectors into heads that take a code each, from one codebook or from one of their own.',
  paper: { title: 'Discrete Key-Value Bottleneck', arxiv: '2207.11240', year: 2022 },
  options: v.object({
    dim: integer(1),
    codebookSize: integer(1),
    heads: integer(1),
    separate: v.optional(v.boolean(), false),
    ...partEntries(),
  }),
  create: (options) => {
    const { dim, codebookSize, heads, separate, key } = options
    if (dim % heads !== 0) throw new RangeError(`heads: expected a divisor of dim ${dim}, got ${heads}`)
    const part = (h: number): Quantizer => makePart(codebookSize, dim / heads, options, key.fold(h))
    if (!separate) return new SharedHeads(part(0), heads)
    // The mean over heads: the losses' weights then mean the same in both forms.
    return new GroupedQuantizer(
      Array.from({ length: heads }, (_, h) => part(h)),
      { reduce: 'mean' },
    )
  },
})

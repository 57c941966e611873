import { defineMethod, integer, integers, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { boundGrid, sigmoidBound } from '../../scalar/bounds.ts'
import { ScalarQuantizer } from '../../scalar/scalar-quantizer.ts'

export interface IfsqOptions {
  /** how many values each dimension takes, odd numbers of at least 3 */
  readonly levels: readonly number[]
  /** codes per vector: its dimensions are split into so many groups; default 1 */
  readonly codebooks?: number
  /** whether each dimension is brought to mean 0, variance 1 first (batch statistics in training); default false */
  readonly normalise?: boolean
}

/**
 * iFSQ: finite scalar quantization under a sigmoid that makes normally distributed numbers almost uniform.
 * arXiv 2601.17124
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const ifsq: Method<IfsqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/ifsq',
  title: 'iFSQ',
  summary: 'FSQ with another squashing, which makes normal numbers almost uniform before they are rounded.',
  paper: { title: 'iFSQ: Improving FSQ for Image Generation with 1 Line of Code', arxiv: '2601.17124', year: 2026 },
  options: v.object({
    levels: integers(3),
    codebooks: v.optional(integer(1), 1),
    normalise: v.optional(v.boolean(), false),
  }),
  create: ({ levels, codebooks, normalise }) => {
    const even = levels.find((L) => L % 2 === 0)
    if (even !== undefined) throw new RangeError(`levels: expected odd numbers, got ${even}`)
    return new ScalarQuantizer({ grid: boundGrid(sigmoidBound(levels), levels), codebooks, normalise })
  },
})

import {
  defineMethod,
  integer,
  integers,
  key as makeKey,
  type Key,
  keyOption,
  type Method,
  numberFrom,
} from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { boundGrid, type BoundName, makeBound, type Squash } from '../../scalar/bounds.ts'
import { ScalarQuantizer } from '../../scalar/scalar-quantizer.ts'

export interface FsqOptions {
  /** how many values each dimension takes, such as `[8, 5, 5, 5]` for 1000 codes; each at least 2 */
  readonly levels: readonly number[]
  /** how a number is squashed before it is rounded; default `'atanh'`, for two levels `'symmetric'` is needed */
  readonly bound?: BoundName
  /** codes per vector: its dimensions are split into so many groups; default 1 */
  readonly codebooks?: number
  /** whether each dimension is brought to mean 0, variance 1 first (batch statistics in training); default false */
  readonly normalise?: boolean
  /** how numbers are kept in range: `'tanh'`, or `'clamp'` for input that lies within ±1 already; default `'tanh'` */
  readonly squash?: Squash
  /** share of values that training moves by noise (`'symmetric'` only; training then needs keys); default 0 */
  readonly noise?: number
  /** turns each group of dimensions by a fixed random rotation first; meant for equal levels; default false */
  readonly rotate?: boolean
  /** draws the rotation; default `key(0)` */
  readonly key?: Key
}

/**
 * Finite scalar quantization: every dimension is squashed and rounded to one of a few levels; the codebook is their grid.
 *
 * No loss and no codebook to learn. Inputs far from 0 saturate it, and few codes are used: normalise them if their scale
 * is free.
 * arXiv 2309.15505
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const fsq: Method<FsqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/fsq',
  title: 'FSQ',
  summary: 'Rounds every dimension to a few levels: a fixed grid of codes and no codebook to learn.',
  paper: { title: 'Finite Scalar Quantization: VQ-VAE Made Simple', arxiv: '2309.15505', year: 2023 },
  options: v.object({
    levels: integers(2),
    bound: v.optional(v.picklist(['atanh', 'tan', 'symmetric']), 'atanh'),
    codebooks: v.optional(integer(1), 1),
    normalise: v.optional(v.boolean(), false),
    squash: v.optional(v.picklist(['tanh', 'clamp']), 'tanh'),
    noise: v.optional(numberFrom(0, 1), 0),
    rotate: v.optional(v.boolean(), false),
    key: v.optional(keyOption()),
  }),
  create: (options) => {
    const { levels, bound, codebooks, normalise, squash, noise, rotate } = options
    if (bound !== 'symmetric' && levels.includes(2))
      throw new RangeError(`bound: two levels need 'symmetric', got '${bound}' with levels [${levels.join(', ')}]`)
    if (bound !== 'symmetric' && noise > 0)
      throw new RangeError(`noise: needs the bound 'symmetric', got '${bound}' with noise ${noise}`)
    return new ScalarQuantizer({
      grid: boundGrid(makeBound(bound, levels, squash), levels, noise),
      codebooks,
      normalise,
      rotate: rotate ? (options.key ?? makeKey(0)) : undefined,
    })
  },
})

import { integer, type Key, key, keyOption, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { isPositionEncoding, type PositionEncoding } from './positions/position.ts'
import type { ScoreMod } from './scoring/scoring.ts'
import type { SoftmaxAttentionParts } from './softmax-attention.ts'

/** What every method takes. */
export interface CommonOptions {
  /** D, the width of a token */
  readonly dim: number
  /** h, the number of heads of queries */
  readonly heads: number
  /** how scores depend on where tokens stand, such as `rope()` */
  readonly positions?: PositionEncoding
  /** whether a query sees no later key; the last query stands at the last key; default true */
  readonly causal?: boolean
  /** how many of the last keys a query sees, its own included; or how many to its left and right, its own apart */
  readonly window?: number | [left: number, right: number]
  /** how many of the first keys every query sees beside its window (arXiv 2309.17453); default 0 */
  readonly keepFirst?: number
  /** c of c tanh(score / c); default: none */
  readonly softcap?: number
  /** one more score for each head, without a value: learned, or this number; default: none */
  readonly sinks?: 'learned' | number
  /** whether outputs pass a sigmoid gate, of each element or each head (arXiv 2505.06708); default: none */
  readonly gate?: 'element' | 'head'
  /** changes scores by plain operations, which hold matrices of the size of a block of them; default: none */
  readonly scoreMod?: ScoreMod
  /** share of the weights that a training step drops, by plain operations; default 0 */
  readonly dropout?: number
  /** factor of q.k, before that of the positions; default d^-1/2 */
  readonly scale?: number
  /** draws the first weights; default `key(0)` */
  readonly key?: Key
}

/** Their schema. */
export const commonEntries: {
  dim: v.GenericSchema<number>
  heads: v.GenericSchema<number>
  positions: v.OptionalSchema<v.GenericSchema<PositionEncoding>, undefined>
  causal: v.OptionalSchema<v.GenericSchema<boolean>, true>
  window: v.OptionalSchema<v.GenericSchema<number | [number, number]>, undefined>
  keepFirst: v.OptionalSchema<v.GenericSchema<number>, 0>
  softcap: v.OptionalSchema<v.GenericSchema<number>, undefined>
  sinks: v.OptionalSchema<v.GenericSchema<'learned' | number>, undefined>
  gate: v.OptionalSchema<v.GenericSchema<'element' | 'head'>, undefined>
  scoreMod: v.OptionalSchema<v.GenericSchema<ScoreMod>, undefined>
  dropout: v.OptionalSchema<v.GenericSchema<number>, 0>
  scale: v.OptionalSchema<v.GenericSchema<number>, undefined>
  key: v.OptionalSchema<v.GenericSchema<Key>, () => Key>
} = {
  dim: integer(1),
  heads: integer(1),
  positions: v.optional(v.custom<PositionEncoding>(isPositionEncoding, 'a position encoding')),
  causal: v.optional(v.boolean(), true),
  window: v.optional(v.union([integer(1), v.tuple([integer(0), integer(0)])])),
  keepFirst: v.optional(integer(0), 0),
  softcap: v.optional(numberBetween(0, Infinity)),
  sinks: v.optional(v.union([v.literal('learned'), v.pipe(v.number(), v.finite('a finite number'))])),
  gate: v.optional(v.picklist(['element', 'head'])),
  scoreMod: v.optional(v.custom<ScoreMod>((value) => typeof value === 'function', 'a function')),
  dropout: v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1)), 0),
  scale: v.optional(v.pipe(v.number(), v.finite('a finite number'))),
  key: v.optional(keyOption(), () => key(0)),
}

/** Options as checked: defaults are there. */
type Checked = CommonOptions & { readonly key: Key }

/** The engine's parts that are options of every method. */
export function commonParts(options: Checked): Omit<SoftmaxAttentionParts, 'projection' | 'key'> {
  const { positions, causal, window, keepFirst, softcap, sinks, gate, scoreMod, dropout, scale } = options
  if (keepFirst && window === undefined)
    throw new TypeError('keepFirst: has an effect only beside a window, got no window')
  return { positions, causal, window, keepFirst, softcap, sinks, gate, scoreMod, dropout, scale }
}

/** Keys for the projection and for the rest. */
export function partKeys(options: Checked): [projection: Key, rest: Key] {
  return options.key.split(2) as [Key, Key]
}

/**
 * A head's width that follows from the token's.
 * @throws RangeError naming `headDim` when heads do not divide the token
 */
export function headWidth({ dim, heads }: CommonOptions, headDim: number | undefined): number {
  const width = headDim ?? dim / heads
  if (!Number.isInteger(width))
    throw new RangeError(`headDim: expected one, since ${heads} heads do not divide ${dim} dimensions, got undefined`)
  return width
}

/** A number, at least 0, added to mean squares. */
export const epsilonOption: v.OptionalSchema<v.GenericSchema<number>, 1e-6> = v.optional(numberFrom(0), 1e-6)

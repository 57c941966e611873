import { integer, type Key, keyOption, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import type { CodeInitialiser } from './codebooks/codebook.ts'
import { kMeansStart } from './initialisation/k-means.ts'
import type { CodebookQuantizerParts } from './quantizer.ts'
import { DeadCodes, type DeadCodesOptions } from './revival/dead-codes.ts'

/** What every method with codes of its own takes. */
export interface CodebookOptions {
  /** size of the vectors' last dimension */
  readonly dim: number
  /** K, the number of codes */
  readonly codebookSize: number
  /** draws the first codes; default: uniform in ±1/K */
  readonly init?: CodeInitialiser
  /** places the codes by k-means on the first training batch (which then needs a key); default: no */
  readonly kMeans?: { readonly iterations?: number }
  /** replaces codes that nothing chooses (training then needs keys); default: no */
  readonly deadCodes?: DeadCodesOptions
  /** draws the first codes; default `key(0)` */
  readonly key?: Key
}

/** Their schema. */
export const codebookEntries: {
  dim: v.GenericSchema<number>
  codebookSize: v.GenericSchema<number>
  init: v.OptionalSchema<v.GenericSchema<CodeInitialiser>, undefined>
  kMeans: v.OptionalSchema<v.GenericSchema<{ iterations?: number }>, undefined>
  deadCodes: v.OptionalSchema<v.GenericSchema<DeadCodesOptions>, undefined>
  key: v.OptionalSchema<v.GenericSchema<Key>, undefined>
} = {
  dim: integer(1),
  codebookSize: integer(1),
  init: v.optional(functionOption<CodeInitialiser>()),
  kMeans: v.optional(v.strictObject({ iterations: v.optional(integer(1)) })),
  deadCodes: v.optional(
    v.strictObject({
      threshold: v.optional(numberFrom(0)),
      decay: v.optional(numberBetween(0, 1)),
      reset: v.optional(numberFrom(0)),
      order: v.optional(functionOption<NonNullable<DeadCodesOptions['order']>>()),
    }),
  ),
  key: v.optional(keyOption()),
}

/** A function that the caller brings. */
export function functionOption<F>(): v.GenericSchema<F> {
  return v.custom<F>((value) => typeof value === 'function', 'a function')
}

/** The engine's parts that place codes from data and replace dead ones, as asked for. */
export function dataParts(options: CodebookOptions): Pick<CodebookQuantizerParts, 'start' | 'revive'> {
  const { kMeans, deadCodes, codebookSize } = options
  return {
    start: kMeans && kMeansStart(kMeans),
    revive: deadCodes && new DeadCodes(codebookSize, deadCodes),
  }
}

import { integer, isModule, type Key, keyOption, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { type Assignment, nearest } from './assignment/nearest.ts'
import type { CodeInitialiser } from './codebooks/codebook.ts'
import { type Estimator, straightThrough } from './estimators/estimator.ts'
import { kMeansStart } from './initialisation/k-means.ts'
import type { LossTerm } from './losses/losses.ts'
import type { CodebookQuantizerParts } from './quantizer.ts'
import { DeadCodes, type DeadCodesOptions, type Revival } from './revival/dead-codes.ts'

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
  /** replaces codes that nothing chooses (training then needs keys), by running means or a part of one's own; default: no */
  readonly deadCodes?: DeadCodesOptions | Revival
  /** further terms for a training step, such as `orthogonalLoss()`, beside the method's own; default: none */
  readonly losses?: Readonly<Record<string, LossTerm>>
  /** draws the first codes; default `key(0)` */
  readonly key?: Key
}

/** Their schema. */
export const codebookEntries: {
  dim: v.GenericSchema<number>
  codebookSize: v.GenericSchema<number>
  init: v.OptionalSchema<v.GenericSchema<CodeInitialiser>, undefined>
  kMeans: v.OptionalSchema<v.GenericSchema<{ iterations?: number }>, undefined>
  deadCodes: v.OptionalSchema<v.GenericSchema<DeadCodesOptions | Revival>, undefined>
  losses: v.OptionalSchema<v.GenericSchema<Readonly<Record<string, LossTerm>>>, undefined>
  key: v.OptionalSchema<v.GenericSchema<Key>, undefined>
} = {
  dim: integer(1),
  codebookSize: integer(1),
  init: v.optional(functionOption<CodeInitialiser>()),
  kMeans: v.optional(v.strictObject({ iterations: v.optional(integer(1)) })),
  deadCodes: v.optional(
    v.union([
      v.custom<Revival>(isModule, 'a part that replaces codes'),
      v.strictObject({
        threshold: v.optional(numberFrom(0)),
        decay: v.optional(numberBetween(0, 1)),
        reset: v.optional(numberFrom(0)),
        order: v.optional(functionOption<NonNullable<DeadCodesOptions['order']>>()),
      }),
    ]),
  ),
  losses: v.optional(v.record(v.string(), functionOption<LossTerm>())),
  key: v.optional(keyOption()),
}

/** A function that the caller brings. */
export function functionOption<F>(): v.GenericSchema<F> {
  return v.custom<F>((value) => typeof value === 'function', 'a function')
}

/** How vectors take codes in a method that leaves the choice: parts in place of its own. */
export interface ChoiceOptions {
  /** which code a vector takes; default `nearest` */
  readonly assign?: Assignment
  /** how the gradient passes the choice; default `straightThrough` */
  readonly estimator?: Estimator
}

/** Their schema. */
export const choiceEntries: {
  assign: v.OptionalSchema<v.GenericSchema<Assignment>, () => Assignment>
  estimator: v.OptionalSchema<v.GenericSchema<Estimator>, () => Estimator>
} = {
  assign: /* @__PURE__ */ v.optional(/* @__PURE__ */ functionOption<Assignment>(), () => nearest),
  estimator: /* @__PURE__ */ v.optional(/* @__PURE__ */ functionOption<Estimator>(), () => straightThrough),
}

/** The engine's parts that place codes from data and replace dead ones, as asked for. */
export function dataParts(options: CodebookOptions): Pick<CodebookQuantizerParts, 'start' | 'revive'> {
  const { kMeans, deadCodes, codebookSize } = options
  return {
    start: kMeans && kMeansStart(kMeans),
    revive: isModule(deadCodes) ? deadCodes : deadCodes && new DeadCodes(codebookSize, deadCodes),
  }
}

import { integer, isModule, type Key, key as makeKey, keyOption, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import type { Assignment } from '../assignment/nearest.ts'
import { type Codebook, type CodeInitialiser, uniformCodes } from '../codebooks/codebook.ts'
import { EmaCodebook } from '../codebooks/ema.ts'
import { FreeCodebook } from '../codebooks/free.ts'
import type { Estimator, PlainEstimator } from '../estimators/estimator.ts'
import { codebookLoss, commitmentLoss } from '../losses/losses.ts'
import { cosine, euclidean } from '../metric.ts'
import { choiceEntries, codebookEntries, dataParts, functionOption } from '../options.ts'
import { CodebookQuantizer } from '../quantizer.ts'
import type { DeadCodesOptions, Revival } from '../revival/dead-codes.ts'
import type { CodeSearch } from './beam.ts'
import type { LayerDropout, ResidualOptions } from './residual.ts'

type Optional<T> = v.OptionalSchema<v.GenericSchema<T>, undefined>
type Default<T> = v.OptionalSchema<v.GenericSchema<T>, T>

/** What layers of any kind are told together. */
export interface LayersOptions extends Pick<ResidualOptions, 'estimate' | 'gradientFraction' | 'dropout' | 'search'> {
  /** Q, how many layers there are */
  readonly layers: number
}

/** Their schema. */
export function layersEntries(): {
  layers: v.GenericSchema<number>
  estimate: Optional<PlainEstimator | 'layers'>
  gradientFraction: Default<number>
  dropout: Optional<LayerDropout>
  search: Optional<CodeSearch>
} {
  return {
    layers: integer(1),
    estimate: v.optional(v.union([v.literal('layers'), functionOption<PlainEstimator>()])),
    gradientFraction: v.optional(numberFrom(0, 1), 0),
    dropout: v.optional(
      v.strictObject({ cutoff: v.optional(integer(0)), multipleOf: v.optional(integer(1)) }),
    ) as Optional<LayerDropout>,
    search: v.optional(functionOption<CodeSearch>()),
  }
}

/** What each of several codebooks of a structure is told. */
export interface PartOptions {
  /** `'ema'`: codes are running means of their vectors; `'free'`: parameters, trained by gradient; default `'ema'` */
  readonly codes?: 'ema' | 'free'
  /** how much of the running means a step keeps; default 0.99 */
  readonly decay?: number
  /** keeps the sizes of rarely chosen codes from 0; default 1e-5 */
  readonly epsilon?: number
  /** `'cosine'` compares directions, with codes on the unit sphere (`'ema'` only); default `'euclidean'` */
  readonly metric?: 'euclidean' | 'cosine'
  /** weight of the term that keeps vectors near their codes; default 0.25 */
  readonly commitment?: number
  /** weight of the term that pulls free codes to their vectors; default 1 */
  readonly codebookWeight?: number
  /** which code a vector takes; default `nearest` */
  readonly assign?: Assignment
  /** how the gradient passes one choice; default `straightThrough` */
  readonly estimator?: Estimator
  /** draws the first codes; default: uniform in ±1/K */
  readonly init?: CodeInitialiser
  /** places each codebook by k-means on the first training batch (which then needs a key); default: no */
  readonly kMeans?: { readonly iterations?: number }
  /** replaces codes that nothing chooses (training then needs keys); default: no */
  readonly deadCodes?: DeadCodesOptions
  /** draws the first codes; default `key(0)` */
  readonly key?: Key
}

/** Their schema. */
export function partEntries(): {
  codes: Default<'ema' | 'free'>
  decay: Default<number>
  epsilon: Default<number>
  metric: Default<'euclidean' | 'cosine'>
  commitment: Default<number>
  codebookWeight: Default<number>
  assign: (typeof choiceEntries)['assign']
  estimator: (typeof choiceEntries)['estimator']
  init: v.OptionalSchema<v.GenericSchema<CodeInitialiser>, () => CodeInitialiser>
  kMeans: Optional<{ iterations?: number }>
  deadCodes: Optional<DeadCodesOptions | Revival>
  key: v.OptionalSchema<v.GenericSchema<Key>, () => Key>
} {
  return {
    codes: v.optional(v.picklist(['ema', 'free']), 'ema'),
    decay: v.optional(numberBetween(0, 1), 0.99),
    epsilon: v.optional(numberFrom(0), 1e-5),
    metric: v.optional(v.picklist(['euclidean', 'cosine']), 'euclidean'),
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
    ...choiceEntries,
    init: v.optional(functionOption<CodeInitialiser>(), () => uniformCodes),
    kMeans: codebookEntries.kMeans,
    deadCodes: codebookEntries.deadCodes,
    key: v.optional(keyOption(), () => makeKey(0)),
  }
}

/** Options of a part, with the defaults filled in. */
export type CheckedPart = Required<Omit<PartOptions, 'kMeans' | 'deadCodes'>> &
  Pick<PartOptions, 'kMeans'> & { readonly deadCodes?: DeadCodesOptions | Revival | undefined }

/** One codebook quantizer, as the parts of structures are. */
export function makePart(codebookSize: number, dim: number, options: CheckedPart, key: Key): CodebookQuantizer {
  const { codes, decay, commitment, codebookWeight, deadCodes } = options
  if (codes === 'free' && options.metric === 'cosine')
    throw new RangeError("metric: 'cosine' keeps codes on the sphere by counting, expected codes 'ema', got 'free'")
  if (isModule(deadCodes))
    throw new TypeError('deadCodes: each codebook counts for itself, expected options, got a part')
  const metric = options.metric === 'cosine' ? cosine : euclidean
  const codebook: Codebook =
    codes === 'ema'
      ? new EmaCodebook(codebookSize, dim, { ...options, metric, key })
      : new FreeCodebook(codebookSize, dim, { init: options.init, key })
  return new CodebookQuantizer({
    codebook,
    assign: options.assign,
    estimate: options.estimator,
    metric,
    losses: {
      ...(codes === 'free' && { codebook: codebookLoss(codebookWeight) }),
      commitment: commitmentLoss(commitment),
    },
    ...dataParts({ ...options, codebookSize, dim, deadCodes: deadCodes && { decay, ...deadCodes } }),
  })
}

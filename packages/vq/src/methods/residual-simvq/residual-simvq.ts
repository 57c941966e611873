import { defineMethod, integer, type Key, key as makeKey, keyOption, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { type Estimator, straightThrough } from '../../estimators/estimator.ts'
import { functionOption } from '../../options.ts'
import type { Quantizer } from '../../quantizer.ts'
import { layersEntries, type LayersOptions } from '../../structures/options.ts'
import { ResidualQuantizer } from '../../structures/residual.ts'
import { simvq, type SimvqOptions } from '../simvq/simvq.ts'

export interface ResidualSimvqOptions
  extends
    LayersOptions,
    Pick<
      SimvqOptions,
      'dim' | 'codebookSize' | 'bias' | 'codeDim' | 'trainableCodes' | 'commitment' | 'codebookWeight'
    > {
  /** each layer's map from frozen to used codes: full, or a scale per dimension; default `'linear'` */
  readonly transform?: 'linear' | 'diagonal'
  /** how the gradient passes one choice; default `straightThrough` */
  readonly estimator?: Estimator
  /** draws each layer's frozen codes and map; default `key(0)` */
  readonly key?: Key
}

/**
 * Residual SimVQ: layers of fixed random codes, each under one trained linear map.
 * The layers are those of arXiv 2411.02038, put together as in arXiv 2107.03312
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const residualSimvq: Method<ResidualSimvqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/residual-simvq',
  title: 'Residual SimVQ',
  summary: 'Residual layers whose codes all move together under one trained linear map each.',
  paper: {
    title: 'Addressing Representation Collapse in Vector Quantized Models with One Linear Layer',
    arxiv: '2411.02038',
    year: 2024,
  },
  options: v.object({
    dim: integer(1),
    codebookSize: integer(1),
    ...layersEntries(),
    transform: v.optional(v.picklist(['linear', 'diagonal']), 'linear'),
    bias: v.optional(v.boolean(), true),
    codeDim: v.optional(integer(1)),
    trainableCodes: v.optional(v.boolean(), false),
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
    estimator: v.optional(functionOption<Estimator>(), () => straightThrough),
    key: v.optional(keyOption(), () => makeKey(0)),
  }),
  create: (options) => {
    const { layers, estimate, gradientFraction, dropout, search, ...rest } = options
    const made: Quantizer[] = []
    try {
      for (let l = 0; l < layers; l++) made.push(simvq({ ...rest, key: options.key.fold(l) } as SimvqOptions))
      return new ResidualQuantizer(made, { estimate, gradientFraction, dropout, search })
    } catch (error) {
      for (const layer of made) layer.dispose()
      throw error
    }
  },
})

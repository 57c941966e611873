import { defineMethod, integer, type Method, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { layersEntries, type LayersOptions } from '../../structures/options.ts'
import { ResidualQuantizer } from '../../structures/residual.ts'
import { lfq, type LfqOptions } from '../lfq/lfq.ts'

export interface ResidualLfqOptions
  extends
    LayersOptions,
    Pick<
      LfqOptions,
      | 'bits'
      | 'entropyWeight'
      | 'diversity'
      | 'inverseTemperature'
      | 'groupSize'
      | 'softplusOffset'
      | 'commitment'
      | 'softClamp'
      | 'spherical'
    > {}

/**
 * Residual lookup-free quantization: each layer takes the signs of what the layers before left over, at half the scale.
 * The layers are those of arXiv 2310.05737, put together as in arXiv 2107.03312
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const residualLfq: Method<ResidualLfqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/residual-lfq',
  title: 'Residual LFQ',
  summary: 'Signs of what is left, at half the scale each time: every layer adds one bit to every dimension.',
  paper: {
    title: 'Language Model Beats Diffusion -- Tokenizer is Key to Visual Generation',
    arxiv: '2310.05737',
    year: 2023,
  },
  options: v.object({
    bits: integer(1),
    ...layersEntries(),
    entropyWeight: v.optional(numberFrom(0), 0.1),
    diversity: v.optional(numberFrom(0), 1),
    inverseTemperature: v.optional(numberBetween(0, Infinity), 100),
    groupSize: v.optional(integer(1)),
    softplusOffset: v.optional(v.number()),
    commitment: v.optional(numberFrom(0), 0),
    softClamp: v.optional(numberFrom(1)),
    spherical: v.optional(v.boolean(), false),
  }),
  create: (options) => {
    const { layers, estimate, gradientFraction, dropout, search, softClamp, ...rest } = options
    const made = Array.from({ length: layers }, (_, l) =>
      lfq({
        ...rest,
        scale: 2 ** -l,
        ...(softClamp !== undefined && { softClamp: softClamp * 2 ** -l }),
      } as LfqOptions),
    )
    return new ResidualQuantizer(made, { estimate, gradientFraction, dropout, search })
  },
})

import { defineMethod, integer, key as makeKey, keyOption, type Key, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { type CodeInitialiser, normalCodes } from '../../codebooks/codebook.ts'
import { functionOption } from '../../options.ts'
import type { Quantizer } from '../../quantizer.ts'
import { type ImplicitOptions, ImplicitResidualQuantizer } from '../../structures/implicit.ts'

export interface QincoOptions extends Omit<ImplicitOptions, 'key'> {
  /** draws codes and networks; default `key(0)` */
  readonly key?: Key
}

/**
 * QINCo: residual quantization whose later codebooks are made, for every vector, by a network from what was said before.
 * arXiv 2401.14732
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const qinco: Method<QincoOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/qinco',
  title: 'QINCo',
  summary: 'Residual layers whose codes a network adapts, for each vector, to what the layers before have said.',
  paper: { title: 'Residual Quantization with Implicit Neural Codebooks', arxiv: '2401.14732', year: 2024 },
  options: v.object({
    dim: integer(1),
    codebookSize: integer(1),
    layers: integer(1),
    hidden: v.optional(integer(1)),
    depth: v.optional(integer(0), 4),
    commitment: v.optional(numberFrom(0), 0.25),
    codebookWeight: v.optional(numberFrom(0), 1),
    block: v.optional(integer(1), 65536),
    init: v.optional(functionOption<CodeInitialiser>(), () => normalCodes),
    key: v.optional(keyOption(), () => makeKey(0)),
  }),
  create: (options) => new ImplicitResidualQuantizer(options),
})

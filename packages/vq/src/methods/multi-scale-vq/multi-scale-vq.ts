import { defineMethod, integer, integers, type Method, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { type MultiScaleOptions, MultiScaleQuantizer } from '../../structures/multi-scale.ts'
import { makePart, partEntries, type PartOptions } from '../../structures/options.ts'

export interface MultiScaleVqOptions extends PartOptions, Omit<MultiScaleOptions, 'key'> {
  /** size of the images' last dimension */
  readonly dim: number
  /** K, the number of codes of the one codebook */
  readonly codebookSize: number
}

/**
 * Multi-scale vector quantization of images, for models that predict the next scale.
 * arXiv 2404.02905
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const multiScaleVq: Method<MultiScaleVqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/multi-scale-vq',
  title: 'Multi-scale VQ',
  summary: 'Code images from coarse to fine, each for what the coarser ones left over, all from one codebook.',
  paper: {
    title: 'Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction',
    arxiv: '2404.02905',
    year: 2024,
  },
  options: v.object({
    dim: integer(1),
    codebookSize: integer(1),
    scales: integers(1),
    size: v.optional(v.tuple([integer(1), integer(1)])),
    smoothing: v.optional(numberFrom(0, 1), 0.5),
    convolutions: v.optional(integer(1), 1),
    ...partEntries(),
  }),
  create: (options) => {
    const { dim, codebookSize, key } = options
    const inner = makePart(codebookSize, dim, options, key.fold(0))
    try {
      return new MultiScaleQuantizer(inner, { ...options, key: key.fold(1) })
    } catch (error) {
      inner.dispose()
      throw error
    }
  },
})

import * as tf from '@tensorflow/tfjs-core'
import { defineMethod, integers, type Method, numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { softClamp } from '../../scalar/binary.ts'
import { boundGrid, makeBound, type Squash } from '../../scalar/bounds.ts'
import { ScalarQuantizer } from '../../scalar/scalar-quantizer.ts'
import { layersEntries, type LayersOptions } from '../../structures/options.ts'
import { ResidualQuantizer } from '../../structures/residual.ts'
import { ScaledQuantizer } from '../../structures/scaled.ts'

export interface ResidualFsqOptions extends LayersOptions {
  /** how many values each dimension takes in each layer; each at least 2 */
  readonly levels: readonly number[]
  /** how a layer keeps numbers in range: cut off at its outermost levels, or by tanh; default `'clamp'` */
  readonly squash?: Squash
  /** keeps the input within ± this by `c tanh(z / c)`; default with `'clamp'`: 1 + 1 / (L - 1), with `'tanh'`: no bound */
  readonly softClamp?: number
  /** share of values that training moves by noise (training then needs keys); default 0 */
  readonly noise?: number
}

/**
 * Residual finite scalar quantization: layer l's grid has its levels evenly over ±L^-l, so that each splits a cell of the
 * grid before.
 * arXiv 2411.19842
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const residualFsq: Method<ResidualFsqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/residual-fsq',
  title: 'Residual FSQ',
  summary: 'Grids within the cells of grids: no codebook to learn, and a code that may be cut after any layer.',
  paper: { title: 'Scaling Transformers for Low-Bitrate High-Quality Speech Coding', arxiv: '2411.19842', year: 2024 },
  options: v.object({
    levels: integers(2),
    ...layersEntries(),
    squash: v.optional(v.picklist(['tanh', 'clamp']), 'clamp'),
    softClamp: v.optional(numberBetween(0, Infinity)),
    noise: v.optional(numberFrom(0, 1), 0),
  }),
  create: (options) => {
    const { levels, layers, squash, noise } = options
    const grid = boundGrid(makeBound('symmetric', levels, squash), levels, noise)
    const made = Array.from({ length: layers }, (_, l) => {
      const layer = new ScalarQuantizer({ grid })
      return new ScaledQuantizer(
        layer,
        levels.map((L) => L ** -l),
      )
    })
    // Just beyond the outermost levels, where rounding begins to cut off.
    const edge = squash === 'clamp' ? levels.map((L) => 1 + 1 / (L - 1)) : undefined
    const most = options.softClamp === undefined ? edge : levels.map(() => options.softClamp!)
    return new ResidualQuantizer(made, {
      ...options,
      ...(most && { prepare: (z) => tf.reshape(softClamp(tf.reshape(z, [-1, levels.length]), most), z.shape) }),
    })
  },
})

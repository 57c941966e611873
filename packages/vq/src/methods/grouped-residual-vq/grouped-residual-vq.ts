import { defineMethod, integer, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantizer } from '../../quantizer.ts'
import { GroupedQuantizer } from '../../structures/grouped.ts'
import { makeResidualVq, residualVqEntries, type ResidualVqOptions } from '../residual-vq/residual-vq.ts'

export interface GroupedResidualVqOptions extends ResidualVqOptions {
  /** parts a vector is split into, a divisor of `dim` */
  readonly groups: number
}

/**
 * Group-residual vector quantization: a vector is split into parts, and each is quantized by layers of its own. With one
 * layer this is product quantization.
 * arXiv 2305.02765
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const groupedResidualVq: Method<GroupedResidualVqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/grouped-residual-vq',
  title: 'Grouped residual VQ',
  summary: 'Splits vectors into parts, each with residual layers of its own; with one layer, product quantization.',
  paper: {
    title: 'HiFi-Codec: Group-residual Vector quantization for High Fidelity Audio Codec',
    arxiv: '2305.02765',
    year: 2023,
  },
  options: v.object({ ...residualVqEntries(), groups: integer(1) }),
  create: (options) => {
    const { dim, groups, key } = options
    if (dim % groups !== 0) throw new RangeError(`groups: expected a divisor of ${dim}, got ${groups}`)
    const parts = Array.from({ length: groups }, (_, g) => makeResidualVq(options, dim / groups, key.fold(g)))
    return new GroupedQuantizer(parts)
  },
})

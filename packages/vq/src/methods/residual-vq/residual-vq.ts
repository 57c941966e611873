import { defineMethod, integer, integers, type Key, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { CodebookQuantizer, Quantizer } from '../../quantizer.ts'
import {
  type CheckedPart,
  layersEntries,
  type LayersOptions,
  makePart,
  partEntries,
  type PartOptions,
} from '../../structures/options.ts'
import { ResidualQuantizer } from '../../structures/residual.ts'

export interface ResidualVqOptions extends PartOptions, LayersOptions {
  /** size of the vectors' last dimension */
  readonly dim: number
  /** K, the number of codes of each layer, or a list of them */
  readonly codebookSize: number | readonly number[]
  /** whether all layers use one codebook, which learns once a step, from all of them; default false */
  readonly shared?: boolean
}

/**
 * Residual vector quantization: each layer's codebook quantizes what the layers before left over.
 * arXiv 2107.03312
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const residualVq: Method<ResidualVqOptions, Quantizer> = /* @__PURE__ */ defineMethod({
  id: 'vq/residual-vq',
  title: 'Residual VQ',
  summary: 'Several codebooks, one after the other, each for what the ones before left over.',
  paper: { title: 'SoundStream: An End-to-End Neural Audio Codec', arxiv: '2107.03312', year: 2021 },
  options: v.object(residualVqEntries()),
  create: (options) => makeResidualVq(options, options.dim, options.key),
})

/** The options' schema. */
export function residualVqEntries(): ReturnType<typeof layersEntries> &
  ReturnType<typeof partEntries> & {
    dim: v.GenericSchema<number>
    codebookSize: v.GenericSchema<number | readonly number[]>
    shared: v.OptionalSchema<v.GenericSchema<boolean>, false>
  } {
  return {
    dim: integer(1),
    codebookSize: v.union([integer(1), integers(1)]),
    ...layersEntries(),
    shared: v.optional(v.boolean(), false),
    ...partEntries(),
  }
}

/** The same from checked options, for a part of so many dimensions. */
export function makeResidualVq(
  options: CheckedPart & LayersOptions & Pick<ResidualVqOptions, 'codebookSize' | 'shared'>,
  dim: number,
  key: Key,
): ResidualQuantizer {
  const { codebookSize, layers, shared } = options
  const sizes = typeof codebookSize === 'number' ? Array.from({ length: layers }, () => codebookSize) : codebookSize
  if (sizes.length !== layers)
    throw new RangeError(`codebookSize: expected ${layers} numbers, one per layer, got ${sizes.length}`)
  if (shared && new Set(sizes).size > 1)
    throw new RangeError(`codebookSize: a shared codebook has one size, got [${sizes.join(', ')}]`)
  const made: CodebookQuantizer[] = []
  try {
    for (const size of shared ? sizes.slice(0, 1) : sizes)
      made.push(makePart(size, dim, options, key.fold(made.length)))
    return new ResidualQuantizer(shared ? sizes.map(() => made[0]!) : made, options)
  } catch (error) {
    for (const part of made) part.dispose()
    throw error
  }
}

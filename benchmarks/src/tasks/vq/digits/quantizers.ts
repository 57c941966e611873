import type { Key } from '@x/core-gpu'
import { fsq, type Quantizer, rotation, simvq, vq, vqEma } from '@x/vq'
import type { RunSpec } from '../../../result.ts'

const dim = 8

/** Makes the quantizer of a method, everything but its parameters at the package's defaults. */
const makers: Record<string, (params: RunSpec['params'], key: Key) => Quantizer> = {
  vq: (params, key) => vq({ dim, codebookSize: Number(params.codebookSize), key }),
  'vq-ema': (params, key) =>
    vqEma({
      dim,
      codebookSize: Number(params.codebookSize),
      kMeans: params.upkeep ? {} : undefined,
      deadCodes: params.upkeep ? { threshold: 0.1 } : undefined,
      key,
    }),
  rotation: (params, key) => rotation({ dim, codebookSize: Number(params.codebookSize), key }),
  simvq: (params, key) => simvq({ dim, codebookSize: Number(params.codebookSize), key }),
  fsq: (params) => fsq({ levels: params.levels as number[], normalise: params.input === 'normalised' }),
}

/** @throws RangeError for an unknown method */
export function makeQuantizer(method: string, params: RunSpec['params'], key: Key): Quantizer {
  const make = makers[method]
  if (make === undefined) throw new RangeError(`method: unknown "${method}"; known: ${Object.keys(makers).join(', ')}`)
  return make(params, key)
}

import type { Key } from '@x/core-gpu'
import {
  bsq,
  cosineVq,
  diveq,
  fsp,
  fsq,
  gumbel,
  ibq,
  ifsq,
  latentQuantization,
  lfq,
  nsvq,
  optvq,
  type Quantizer,
  rotation,
  sfDiveq,
  simvq,
  vq,
  vqBridge,
  vqEma,
  vqStePlusPlus,
  wassersteinVq,
} from '@x/vq'
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
  'cosine-vq': (params, key) => cosineVq({ dim, codebookSize: Number(params.codebookSize), key }),
  diveq: (params, key) => diveq({ dim, codebookSize: Number(params.codebookSize), key }),
  gumbel: (params, key) => gumbel({ dim, codebookSize: Number(params.codebookSize), key }),
  ibq: (params, key) => ibq({ dim, codebookSize: Number(params.codebookSize), key }),
  nsvq: (params, key) => nsvq({ dim, codebookSize: Number(params.codebookSize), key }),
  optvq: (params, key) => optvq({ dim, codebookSize: Number(params.codebookSize), key }),
  'sf-diveq': (params, key) => sfDiveq({ dim, codebookSize: Number(params.codebookSize), key }),
  'vq-bridge': (params, key) => vqBridge({ dim, codebookSize: Number(params.codebookSize), key }),
  'vq-ste-plus-plus': (params, key) => vqStePlusPlus({ dim, codebookSize: Number(params.codebookSize), key }),
  'wasserstein-vq': (params, key) => wassersteinVq({ dim, codebookSize: Number(params.codebookSize), key }),
  bsq: (params) => bsq({ bits: Number(params.bits) }),
  fsp: (params) => fsp({ levels: params.levels as number[] }),
  ifsq: (params) => ifsq({ levels: params.levels as number[], normalise: params.input === 'normalised' }),
  'latent-quantization': (params) => latentQuantization({ levels: params.levels as number[] }),
  lfq: (params) => lfq({ bits: Number(params.bits) }),
  fsq: (params) => fsq({ levels: params.levels as number[], normalise: params.input === 'normalised' }),
}

/** @throws RangeError for an unknown method */
export function makeQuantizer(method: string, params: RunSpec['params'], key: Key): Quantizer {
  const make = makers[method]
  if (make === undefined) throw new RangeError(`method: unknown "${method}"; known: ${Object.keys(makers).join(', ')}`)
  return make(params, key)
}

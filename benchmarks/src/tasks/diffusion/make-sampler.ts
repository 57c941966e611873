import {
  ddim,
  deis,
  dpm2,
  dpmSolverFast,
  dpmSolverMultistep,
  dpmSolverSinglestep,
  euler,
  heun,
  ipndm,
  lms,
  plms,
  pndm,
  rectifiedFlow,
  type Sampler,
  unipc,
} from '@x/diffusion'
import type { RunSpec } from '../../result.ts'
import { fixedSampler } from './fixed-samplers.ts'

interface Options {
  readonly order: number
  readonly lowerOrderFinal?: false
}

const makers: Record<string, (options: Options) => Sampler> = {
  ddim: () => ddim(),
  deis: (options) => deis(options),
  dpm2: () => dpm2(),
  'dpm-solver-fast': () => dpmSolverFast(),
  'dpm-solver-multistep': (options) => dpmSolverMultistep(options),
  'dpm-solver-singlestep': ({ order }) => dpmSolverSinglestep({ order }),
  euler: () => euler(),
  heun: () => heun(),
  ipndm: () => ipndm(),
  lms: () => lms(),
  plms: () => plms(),
  pndm: () => pndm(),
  'rectified-flow': () => rectifiedFlow(),
  unipc: (options) => unipc(options),
}

/**
 * @param fullOrder whether the last steps keep the order: lowering it is good for short grids that end at clean, and hides
 *   the order on others
 * @throws RangeError for an unknown method
 */
export function makeSampler(
  { method, params }: Pick<RunSpec, 'method' | 'params'>,
  fullOrder: boolean = false,
): Sampler {
  fixedSampler(method)
  return makers[method]!({ order: Number(params.order), ...(fullOrder && { lowerOrderFinal: false }) })
}

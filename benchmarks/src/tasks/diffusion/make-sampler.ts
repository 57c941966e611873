import {
  ddim,
  ddpm,
  deis,
  dpm2,
  dpm2Ancestral,
  dpmSolverAncestral,
  dpmSolverFast,
  dpmSolverMultistep,
  dpmSolverSinglestep,
  euler,
  eulerAncestral,
  heun,
  ipndm,
  lms,
  plms,
  pndm,
  rectifiedFlow,
  saSolver,
  type Sampler,
  sdeDpmSolverMultistep,
  sdeDpmSolverSinglestep,
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
  ddpm: () => ddpm(),
  deis: (options) => deis(options),
  dpm2: () => dpm2(),
  'dpm2-ancestral': () => dpm2Ancestral(),
  'dpm-solver-ancestral': () => dpmSolverAncestral(),
  'dpm-solver-fast': () => dpmSolverFast(),
  'dpm-solver-multistep': (options) => dpmSolverMultistep(options),
  'dpm-solver-singlestep': ({ order }) => dpmSolverSinglestep({ order }),
  euler: () => euler(),
  'euler-ancestral': () => eulerAncestral(),
  heun: () => heun(),
  ipndm: () => ipndm(),
  lms: () => lms(),
  plms: () => plms(),
  pndm: () => pndm(),
  'rectified-flow': () => rectifiedFlow(),
  'sa-solver': () => saSolver(),
  'sde-dpm-solver-multistep': () => sdeDpmSolverMultistep(),
  'sde-dpm-solver-singlestep': () => sdeDpmSolverSinglestep(),
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

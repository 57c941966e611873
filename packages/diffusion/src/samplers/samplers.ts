import type { MethodDescription } from '@x/core-gpu'
import { amed } from './amed/amed.ts'
import { ddimInversion } from './ddim-inversion/ddim-inversion.ts'
import { ddim } from './ddim/ddim.ts'
import { deis } from './deis/deis.ts'
import { dpmSolverAdaptive } from './dpm-solver-adaptive/dpm-solver-adaptive.ts'
import { dpmSolverFast } from './dpm-solver-fast/dpm-solver-fast.ts'
import { dpmSolverMultistep } from './dpm-solver-multistep/dpm-solver-multistep.ts'
import { dpmSolverSinglestep } from './dpm-solver-singlestep/dpm-solver-singlestep.ts'
import { dpm2 } from './dpm2/dpm2.ts'
import { euler } from './euler/euler.ts'
import { heun } from './heun/heun.ts'
import { ipndm } from './ipndm/ipndm.ts'
import { lms } from './lms/lms.ts'
import { plms } from './plms/plms.ts'
import { pndm } from './pndm/pndm.ts'
import { rectifiedFlow } from './rectified-flow/rectified-flow.ts'
import { rk45 } from './rk45/rk45.ts'
import { unipc } from './unipc/unipc.ts'

/** Every sampler, in the order of their titles. */
export const samplers: readonly MethodDescription[] = [
  amed,
  ddim,
  ddimInversion,
  deis,
  dpm2,
  dpmSolverAdaptive,
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
  rk45,
  unipc,
]

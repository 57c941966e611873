import type { MethodDescription } from '@x/core-gpu'
import { amed } from './amed/amed.ts'
import { consistency } from './consistency/consistency.ts'
import { ddim } from './ddim/ddim.ts'
import { ddimInversion } from './ddim-inversion/ddim-inversion.ts'
import { ddpm } from './ddpm/ddpm.ts'
import { deis } from './deis/deis.ts'
import { dpmSolverAdaptive } from './dpm-solver-adaptive/dpm-solver-adaptive.ts'
import { dpmSolverAncestral } from './dpm-solver-ancestral/dpm-solver-ancestral.ts'
import { dpmSolverFast } from './dpm-solver-fast/dpm-solver-fast.ts'
import { dpmSolverMultistep } from './dpm-solver-multistep/dpm-solver-multistep.ts'
import { dpmSolverSinglestep } from './dpm-solver-singlestep/dpm-solver-singlestep.ts'
import { dpm2 } from './dpm2/dpm2.ts'
import { dpm2Ancestral } from './dpm2-ancestral/dpm2-ancestral.ts'
import { euler } from './euler/euler.ts'
import { eulerAncestral } from './euler-ancestral/euler-ancestral.ts'
import { heun } from './heun/heun.ts'
import { ipndm } from './ipndm/ipndm.ts'
import { lcm } from './lcm/lcm.ts'
import { lms } from './lms/lms.ts'
import { plms } from './plms/plms.ts'
import { pndm } from './pndm/pndm.ts'
import { predictorCorrector } from './predictor-corrector/predictor-corrector.ts'
import { rectifiedFlow } from './rectified-flow/rectified-flow.ts'
import { repaint } from './repaint/repaint.ts'
import { rk45 } from './rk45/rk45.ts'
import { saSolver } from './sa-solver/sa-solver.ts'
import { sdeDpmSolverMultistep } from './sde-dpm-solver-multistep/sde-dpm-solver-multistep.ts'
import { sdeDpmSolverSinglestep } from './sde-dpm-solver-singlestep/sde-dpm-solver-singlestep.ts'
import { tcd } from './tcd/tcd.ts'
import { unipc } from './unipc/unipc.ts'

/** Every sampler, in the order of their titles. */
export const samplers: readonly MethodDescription[] = [
  amed,
  consistency,
  ddim,
  ddimInversion,
  ddpm,
  deis,
  dpm2,
  dpm2Ancestral,
  dpmSolverAdaptive,
  dpmSolverAncestral,
  dpmSolverMultistep,
  dpmSolverSinglestep,
  dpmSolverFast,
  euler,
  eulerAncestral,
  heun,
  ipndm,
  lcm,
  lms,
  plms,
  pndm,
  predictorCorrector,
  rectifiedFlow,
  repaint,
  rk45,
  saSolver,
  sdeDpmSolverMultistep,
  sdeDpmSolverSinglestep,
  tcd,
  unipc,
]

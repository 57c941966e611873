import type { MethodDescription } from '@x/core-gpu'
import { bsq } from './bsq/bsq.ts'
import { cosineVq } from './cosine-vq/cosine-vq.ts'
import { diveq } from './diveq/diveq.ts'
import { fsq } from './fsq/fsq.ts'
import { groupedResidualVq } from './grouped-residual-vq/grouped-residual-vq.ts'
import { gumbel } from './gumbel/gumbel.ts'
import { ibq } from './ibq/ibq.ts'
import { ifsq } from './ifsq/ifsq.ts'
import { lfq } from './lfq/lfq.ts'
import { multiHeadVq } from './multi-head-vq/multi-head-vq.ts'
import { nsvq } from './nsvq/nsvq.ts'
import { optvq } from './optvq/optvq.ts'
import { residualFsq } from './residual-fsq/residual-fsq.ts'
import { residualLfq } from './residual-lfq/residual-lfq.ts'
import { residualSimvq } from './residual-simvq/residual-simvq.ts'
import { residualVq } from './residual-vq/residual-vq.ts'
import { rotation } from './rotation/rotation.ts'
import { sfDiveq } from './sf-diveq/sf-diveq.ts'
import { simvq } from './simvq/simvq.ts'
import { vqBridge } from './vq-bridge/vq-bridge.ts'
import { vqEma } from './vq-ema/vq-ema.ts'
import { vqStePlusPlus } from './vq-ste-plus-plus/vq-ste-plus-plus.ts'
import { vq } from './vq/vq.ts'
import { wassersteinVq } from './wasserstein-vq/wasserstein-vq.ts'

/** Every method of this package, as described, one a line; the dashboard and the docs show them in this order. */
// prettier-ignore
export const methods: readonly MethodDescription[] = [
  vq,
  vqEma,
  cosineVq,
  rotation,
  simvq,
  vqStePlusPlus,
  vqBridge,
  ibq,
  gumbel,
  diveq,
  sfDiveq,
  nsvq,
  optvq,
  wassersteinVq,
  fsq,
  ifsq,
  lfq,
  bsq,
  residualVq,
  residualSimvq,
  residualFsq,
  residualLfq,
  groupedResidualVq,
  multiHeadVq,
]

import type { MethodDescription } from '@x/core-gpu'
import { bsq } from './bsq/bsq.ts'
import { cosineVq } from './cosine-vq/cosine-vq.ts'
import { fsq } from './fsq/fsq.ts'
import { groupedResidualVq } from './grouped-residual-vq/grouped-residual-vq.ts'
import { lfq } from './lfq/lfq.ts'
import { multiHeadVq } from './multi-head-vq/multi-head-vq.ts'
import { residualVq } from './residual-vq/residual-vq.ts'
import { rotation } from './rotation/rotation.ts'
import { simvq } from './simvq/simvq.ts'
import { vq } from './vq/vq.ts'
import { vqEma } from './vq-ema/vq-ema.ts'

/** Every method of this package, as described; the dashboard and the docs are made from this list. */
export const methods: readonly MethodDescription[] = [
  bsq,
  cosineVq,
  fsq,
  groupedResidualVq,
  lfq,
  multiHeadVq,
  residualVq,
  rotation,
  simvq,
  vq,
  vqEma,
]

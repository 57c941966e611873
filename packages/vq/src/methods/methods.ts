import type { MethodDescription } from '@x/core-gpu'
import { bsq } from './bsq/bsq.ts'
import { cosineVq } from './cosine-vq/cosine-vq.ts'
import { fsq } from './fsq/fsq.ts'
import { lfq } from './lfq/lfq.ts'
import { rotation } from './rotation/rotation.ts'
import { simvq } from './simvq/simvq.ts'
import { vq } from './vq/vq.ts'
import { vqEma } from './vq-ema/vq-ema.ts'

/** Every method of this package, as described; the dashboard and the docs are made from this list. */
export const methods: readonly MethodDescription[] = [bsq, cosineVq, fsq, lfq, rotation, simvq, vq, vqEma]

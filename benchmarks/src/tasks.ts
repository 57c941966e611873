import type { Task } from './define-task.ts'
import { cache } from './tasks/attention/cache/cache.ts'
import { decode } from './tasks/attention/decode/decode.ts'
import { lm } from './tasks/attention/lm/lm.ts'
import { memory } from './tasks/attention/memory/memory.ts'
import { trainingStep } from './tasks/core/training-step/training-step.ts'
import { nfe } from './tasks/diffusion/nfe/nfe.ts'
import { order } from './tasks/diffusion/order/order.ts'
import { overhead } from './tasks/diffusion/overhead/overhead.ts'
import { upsampleField } from './tasks/diffusion/upsample-field/upsample-field.ts'
import { kernelTasks } from './tasks/kernels/kernels.ts'
import { codebook } from './tasks/vq/codebook/codebook.ts'
import { codec } from './tasks/vq/codec/codec.ts'
import { digits } from './tasks/vq/digits/digits.ts'
import { generation } from './tasks/vq/generation/generation.ts'
import { origin } from './tasks/vq/origin/origin.ts'
import { scale } from './tasks/vq/scale/scale.ts'

/** Every task of the project. */
export const tasks: readonly Task[] = [
  digits,
  codebook,
  scale,
  origin,
  codec,
  generation,
  order,
  nfe,
  upsampleField,
  overhead,
  lm,
  decode,
  cache,
  memory,
  trainingStep,
  ...kernelTasks,
]

import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { samplerChecks } from '../sampler-checks.ts'
import { expectSchedulerRun, schedulerRuns, tableOf } from '../../golden/scheduler-runs.ts'
import type { LogSnr } from '../../noise-level.ts'
import { pndm } from './pndm.ts'

describe.each(['cpu', 'wasm'] as const)('pndm on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(pndm, { calls: 13, badOptions: { middle: [0.5] } }))('$name', ({ run }) => run())

  it.each(schedulerRuns('PNDMScheduler', backend, /no-noise|alpha-to-one|v-prediction/))(
    'agrees with diffusers: $id',
    (record) => {
      // Its warm-up goes through middles in the model's time.
      const { levelOf, timestepOf } = tableOf(record)
      const middle = (from: LogSnr, to: LogSnr): LogSnr => levelOf(Math.round((timestepOf(from) + timestepOf(to)) / 2))
      const averaged = record.config['prediction_type'] === 'v_prediction' ? 'v' : 'eps'
      return expectSchedulerRun(record, pndm({ middle, averaged }))
    },
  )
})

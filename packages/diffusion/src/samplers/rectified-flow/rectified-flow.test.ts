import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { givenNoise } from '../../golden/given-noise.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { rectifiedFlow } from './rectified-flow.ts'

describe.each(['cpu', 'wasm'] as const)('rectified-flow on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(rectifiedFlow, { calls: 4, forgets: true, badOptions: { order: [0, 3], eta: [-0.1, 1.1] } }))(
    '$name',
    ({ run }) => run(),
  )
  it.each(samplerChecks(rectifiedFlow, { options: { order: 2 }, calls: 8, forgets: true }))('$name', ({ run }) => run())

  it.each(samplerChecks(rectifiedFlow, { options: { order: 2, eta: 0.7 }, calls: 8, draws: true }))(
    '$name',
    ({ run }) => run(),
  )

  it('goes below the next level and back up by noise, in the coordinates of flows', async () => {
    const [from, to, eta] = [0.8, 0.5, 0.6]
    const levelOf = (s: number): number => 2 * Math.log((1 - s) / s)
    const scale = (s: number): number => Math.hypot(1 - s, s)
    const draw = (_: number, i: number): number => Math.sin(1 + 3 * i)
    const [start, clean] = [
      [0.3, -1.2],
      [0.5, 0.1],
    ] as const
    const below = to * (1 + (to / from - 1) * eta)
    const expected = start.map((value, i) => {
      const arrived = value + (below - from) * ((value - clean[i]!) / from)
      const kept = (1 - to) / (1 - below)
      return kept * arrived + Math.sqrt(to ** 2 - (kept * below) ** 2) * draw(0, i)
    })
    const x = tf.tensor2d([start.map((value) => value / scale(from))])
    const end = await rectifiedFlow({ eta })(() => tf.tensor2d([[...clean]]), x, [levelOf(from), levelOf(to)], {
      key: givenNoise(draw),
    })
    ;(await end.data()).forEach((value, i) => expect(value * scale(to)).toBeCloseTo(expected[i]!, 5))
    tf.dispose([x, end])
  })

  it.each(schedulerRuns('FlowMatchEulerDiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, rectifiedFlow()),
  )

  it.each(schedulerRuns('FlowMatchHeunDiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, rectifiedFlow({ order: 2 })),
  )
})

import { key } from '@x/core-gpu'
import { answerRounds } from '../../../interleave.ts'
import { openBackend } from '../../../open-backend.ts'
import type { RunSpec } from '../../../result.ts'
import { digitsTraining } from './digits-training.ts'

/** Steps in a round: enough that a clock tick or a collection of garbage does not show. */
const stepsPerRound = 5
const warmUpSteps = 10

const { run, kernels } = JSON.parse(process.argv[2] ?? '{}') as { run: RunSpec; kernels: 'own' | 'stock' }
const device = await openBackend(run.backend, { kernels })
const step = digitsTraining(run.method, run.params, key(run.seed))

for (let i = 0; i < warmUpSteps; i++) await step()
await answerRounds({ ...device.describe() }, async () => {
  const begun = performance.now()
  for (let i = 0; i < stepsPerRound; i++) await step()
  return (performance.now() - begun) / stepsPerRound
})

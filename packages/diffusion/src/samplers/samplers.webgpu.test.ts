import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { expectMixtureRun, mixtureRuns } from '../golden/mixture-runs.ts'
import {
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
  type Sampler,
  unipc,
} from '../index.ts'
import { samplerChecks } from './sampler-checks.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

describe.skipIf(!device)(`samplers on webgpu (${where})`, () => {
  const checks = [
    ...samplerChecks(amed, { calls: 8 }),
    ...samplerChecks(ddim, { options: { eta: 1 }, calls: 4, draws: true }),
    ...samplerChecks(ddimInversion, { calls: 4, forgets: true, falling: true }),
    ...samplerChecks(deis, { calls: 4 }),
    ...samplerChecks(dpm2, { calls: 8, forgets: true }),
    ...samplerChecks(dpmSolverAdaptive, { fromNoise: false }),
    ...samplerChecks(dpmSolverFast, { calls: 9 }),
    ...samplerChecks(dpmSolverMultistep, { options: { order: 3 }, calls: 4 }),
    ...samplerChecks(dpmSolverSinglestep, { options: { order: 3 }, calls: 12, forgets: true }),
    ...samplerChecks(euler, { calls: 4, forgets: true }),
    ...samplerChecks(heun, { options: { churn: 4 }, calls: 8, draws: true }),
    ...samplerChecks(ipndm, { calls: 4 }),
    ...samplerChecks(lms, { calls: 4 }),
    ...samplerChecks(plms, { calls: 5 }),
    ...samplerChecks(pndm, { calls: 13 }),
    ...samplerChecks(rectifiedFlow, { options: { order: 2 }, calls: 8, forgets: true }),
    ...samplerChecks(rk45, { fromNoise: false }),
    ...samplerChecks(unipc, { options: { order: 3 }, calls: 4 }),
  ]
  it.each(checks)('$name', ({ run }) => run())

  describe.each<[string, Sampler]>([
    ['ddim', ddim()],
    ['euler', euler()],
    ['heun', heun()],
    ['dpm2', dpm2()],
    ['dpmpp2m', dpmSolverMultistep({ lowerOrderFinal: false })],
    ['dpmpp3m', dpmSolverMultistep({ order: 3, lowerOrderFinal: false })],
    ['unipc2', unipc({ lowerOrderFinal: false })],
  ])('%s', (name, sampler) => {
    it.each(mixtureRuns(name))('ends where the reference does: $id', (record) => expectMixtureRun(record, sampler))
  })
})

import * as tf from '@tensorflow/tfjs-core'
import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { expectMixtureRun, expectNoisyMixtureRun, mixtureRuns, noisyMixtureRuns } from '../golden/mixture-runs.ts'
import {
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
  dpmSolverFast,
  dpmSolverMultistep,
  dpmSolverSinglestep,
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
  type Sampler,
  saSolver,
  sdeDpmSolverMultistep,
  sdeDpmSolverSinglestep,
  tcd,
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
  const [known, mask] = [[[0.4, -0.2]], [[1, 0]]].map((rows) => tf.tensor2d(rows)) as [tf.Tensor, tf.Tensor]
  const checks = [
    ...samplerChecks(amed, { calls: 8 }),
    ...samplerChecks(consistency, { calls: 4, draws: true }),
    ...samplerChecks(ddim, { options: { eta: 1 }, calls: 4, draws: true }),
    ...samplerChecks(ddimInversion, { calls: 4, forgets: true, falling: true }),
    ...samplerChecks(ddpm, { options: { variance: 'large' }, calls: 4, draws: true }),
    ...samplerChecks(deis, { calls: 4 }),
    ...samplerChecks(dpm2, { calls: 8, forgets: true }),
    ...samplerChecks(dpm2Ancestral, { calls: 8, draws: true }),
    ...samplerChecks(dpmSolverAdaptive, { fromNoise: false }),
    ...samplerChecks(dpmSolverAncestral, { calls: 8, draws: true }),
    ...samplerChecks(dpmSolverFast, { calls: 9 }),
    ...samplerChecks(dpmSolverMultistep, { options: { order: 3 }, calls: 4 }),
    ...samplerChecks(dpmSolverSinglestep, { options: { order: 3 }, calls: 12, forgets: true }),
    ...samplerChecks(euler, { calls: 4, forgets: true }),
    ...samplerChecks(eulerAncestral, { options: { noise: 'brownian' }, calls: 4, draws: true }),
    ...samplerChecks(heun, { options: { churn: 4 }, calls: 8, draws: true }),
    ...samplerChecks(ipndm, { calls: 4 }),
    ...samplerChecks(lcm, { calls: 4, draws: true }),
    ...samplerChecks(lms, { calls: 4 }),
    ...samplerChecks(plms, { calls: 5 }),
    ...samplerChecks(pndm, { calls: 13 }),
    ...samplerChecks(predictorCorrector, { calls: 8, draws: true, fromNoise: false }),
    ...samplerChecks(rectifiedFlow, { options: { order: 2 }, calls: 8, forgets: true }),
    ...samplerChecks(rectifiedFlow, { options: { eta: 0.5 }, calls: 4, draws: true }),
    ...samplerChecks(repaint, { options: { known, mask, jumpLength: 2, repeats: 2 }, calls: 6, draws: true }),
    ...samplerChecks(rk45, { fromNoise: false }),
    ...samplerChecks(saSolver, { calls: 4, draws: true }),
    ...samplerChecks(sdeDpmSolverMultistep, { options: { order: 3 }, calls: 4, draws: true }),
    ...samplerChecks(sdeDpmSolverSinglestep, { options: { noise: 'brownian' }, calls: 8, draws: true }),
    ...samplerChecks(tcd, { calls: 4, draws: true }),
    ...samplerChecks(unipc, { options: { order: 3 }, calls: 4 }),
  ]
  // What belongs to the walk along a grid is tried with some of them: a software adapter is slow at all of it.
  const walk =
    /^(?!diffusion\/(ddim|ddpm|heun|dpm-solver-multistep|rk45) ).*(reports its steps|calls the denoiser|by its arguments|not disturb|two halves|leaves no tensor)/
  it.each(checks.filter(({ name }) => !walk.test(name)))('$name', ({ run }) => run())

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

  describe.each<[string, Sampler]>([
    ['eulerAncestral', eulerAncestral()],
    ['eulerAncestral', ddpm()],
    ['sdeDpmpp2m', sdeDpmSolverMultistep({ lowerOrderFinal: false })],
  ])('%s', (name, sampler) => {
    it.each(noisyMixtureRuns(name))('ends where the reference does: $id', (record) =>
      expectNoisyMixtureRun(record, sampler),
    )
  })
})

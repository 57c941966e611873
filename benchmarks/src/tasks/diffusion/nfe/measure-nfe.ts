import * as tf from '@tensorflow/tfjs-core'
import { type Key, key } from '@x/core-gpu'
import {
  amed,
  checkerboard,
  type GaussianMixture,
  gaussianRing,
  type Grid,
  karrasGrid,
  maximumMeanDiscrepancy,
  moons,
  rings,
  type Sampler,
  slicedWasserstein,
  startNoise,
  trainAmed,
} from '@x/diffusion'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { fixedSampler, stepsFor } from '../fixed-samplers.ts'
import { makeSampler } from '../make-sampler.ts'
import { setTitles } from './sets.ts'

const makers: Record<keyof typeof setTitles, () => GaussianMixture> = {
  ring: () => gaussianRing(),
  moons: () => moons(),
  rings: () => rings(),
  checkerboard: () => checkerboard({ noise: 0.125 }),
}

/** In EDM's scale; the least is well below the width of every set. */
const sigmaMax = 20
const sigmaMin = 0.01
/** From details of the sets to their size. */
const bandwidth = [0.1, 0.3, 1]
const projections = 128
const trainingSamples = 64

/** Samples the sets by one method with a given number of calls, and measures how far that is from fresh data. */
export async function measureNfe({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const calls = Number(run.params.nfe)
  const method = run.method === 'amed' ? undefined : fixedSampler(run.method)
  const steps = method ? stepsFor(method, calls, run.params) : calls / 2
  if (steps === undefined) throw new RangeError(`nfe: ${run.method} cannot make ${calls} calls`)
  const device = await openBackend(run.backend)
  const samples = run.quick ? 256 : 2048
  const grid = karrasGrid({ steps, sigmaMin, sigmaMax, final: 'min' })
  const metrics: Record<string, number[]> = {}
  const floors: Record<string, number> = {}
  for (const [at, [name, make]] of Object.entries(makers).entries()) {
    signal.throwIfAborted()
    const keys = key(run.seed).fold(at).split(6) as [Key, Key, Key, Key, Key, Key]
    const [noiseKey, dataKey, otherKey, directionKey, trainingKey, drawKey] = keys
    const set = make()
    const sampler = method ? makeSampler(run) : await trained(set, grid, trainingKey)
    let made = 0
    const x = startNoise(noiseKey, [samples, 2], grid)
    const end = await sampler(
      (y, level) => {
        made++
        return set.denoise(y, level)
      },
      x,
      grid,
      { signal, key: drawKey },
    )
    if (made !== calls) throw new Error(`${run.method}: ${made} calls instead of ${calls}`)
    const data = set.sample(samples, dataKey)
    const other = set.sample(samples, otherKey)
    const wasserstein = { key: directionKey, projections }
    metrics[`${name}Wasserstein`] = [await slicedWasserstein(end, data, wasserstein)]
    metrics[`${name}Discrepancy`] = [await maximumMeanDiscrepancy(end, data, { bandwidth, unbiased: true })]
    floors[`${name}Floor`] = await slicedWasserstein(other, data, wasserstein)
    tf.dispose([x, end, data, other])
    set.dispose()
    progress((at + 1) / Object.keys(makers).length, name)
  }
  return {
    metrics,
    // Between two sets of fresh data: nothing can be seen below.
    facts: { samples, steps, sigmaMax, sigmaMin, projections, ...floors },
    device: { ...device.describe() },
  }
}

/** AMED with points learned for a grid, from samples of their own. */
async function trained(set: GaussianMixture, grid: Grid, drawn: Key): Promise<Sampler> {
  const x = startNoise(drawn, [trainingSamples, 2], grid)
  const points = await trainAmed(set.denoise, x, grid)
  x.dispose()
  return amed({ points })
}

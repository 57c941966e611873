import * as tf from '@tensorflow/tfjs-core'
import { type Key, key } from '@x/core-gpu'
import { amed, logSnrGrid } from '@x/diffusion'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { bootstrapInterval, median } from '../../../statistics.ts'
import { makeSampler } from '../make-sampler.ts'
import { SmallUNet } from './unet.ts'

const steps = 20
const warmUpRounds = 2

/** Times a sampler without a network, and a network without a sampler, in turns. */
export async function measureOverhead({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const sampler = run.method === 'amed' ? amed() : makeSampler(run)
  const device = await openBackend(run.backend)
  const [rounds, batch] = run.quick ? [3, 2] : [10, 64]
  const [networkKey, noiseKey, readyKey, drawKey] = key(run.seed).split(4) as [Key, Key, Key, Key]
  const network = new SmallUNet(networkKey)
  const x = noiseKey.normal([batch, 32, 32, 3])
  const ready = readyKey.normal([batch, 32, 32, 3])
  const grid = logSnrGrid({ steps, logSnrMin: -8, logSnrMax: 8, final: 'min' })

  let calls = 0
  const timed = async (work: () => tf.Tensor | Promise<tf.Tensor>): Promise<number> => {
    const begun = performance.now()
    const made = await work()
    // Where work is queued, its result must be waited for; on a processor it is there.
    await made.data()
    const ms = performance.now() - begun
    made.dispose()
    return ms
  }
  const samples = { network: [] as number[], sampler: [] as number[], share: [] as number[] }
  for (let round = -warmUpRounds; round < rounds; round++) {
    signal.throwIfAborted()
    const networkMs = await timed(() => network.forward(x, 0))
    calls = 0
    const samplingMs = await timed(() =>
      sampler(
        () => {
          calls++
          return tf.clone(ready)
        },
        x,
        grid,
        { key: drawKey },
      ),
    )
    if (round < 0) continue
    samples.network.push(networkMs)
    samples.sampler.push(samplingMs / calls)
    samples.share.push(samplingMs / calls / networkMs)
    progress((round + 1) / rounds, `round ${round + 1}`)
  }
  const parameters = Object.values(network.parameters()).reduce((sum, { size }) => sum + size, 0)
  tf.dispose([x, ready])
  network.dispose()
  const interval = bootstrapInterval(samples.share)
  return {
    metrics: samples,
    facts: {
      rounds,
      batch,
      steps,
      calls,
      parameters,
      shareMedian: median(samples.share),
      shareLow: interval.low,
      shareHigh: interval.high,
    },
    device: { ...device.describe() },
  }
}

import { join } from 'node:path'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { interleave, type Rival } from '../../../interleave.ts'
import { openBackend } from '../../../open-backend.ts'
import { bootstrapInterval, median } from '../../../statistics.ts'

/** Lets both kinds of kernels train in turns. */
export async function measureStep({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  // Only to know that the backend is there: the rivals open it for themselves.
  await openBackend(run.backend)
  const rounds = run.quick ? 5 : 40
  const rival = (kernels: 'own' | 'stock'): Rival => ({
    name: kernels,
    command: process.execPath,
    args: [join(import.meta.dirname, 'rival.ts'), JSON.stringify({ run, kernels })],
  })
  const { samples, descriptions } = await interleave([rival('own'), rival('stock')], {
    rounds,
    signal,
    onRound: (round) => progress(round / rounds, `round ${round}`),
  })
  const { own = [], stock = [] } = samples
  const speedup = own.map((ms, round) => (stock[round] ?? Number.NaN) / ms)
  const interval = bootstrapInterval(speedup)
  return {
    metrics: { own, stock, speedup },
    facts: {
      rounds,
      codebookSize: Number(run.params.codebookSize),
      batchSize: Number(run.params.batchSize),
      speedupMedian: median(speedup),
      speedupLow: interval.low,
      speedupHigh: interval.high,
    },
    device: descriptions.own ?? {},
  }
}

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { SkippedError, type TaskContext, type TaskOutcome } from '../../define-task.ts'
import { interleave, type Rival } from '../../interleave.ts'
import { openBackend } from '../../open-backend.ts'
import { findPeer, peerScript } from '../../peers/set-up-peer.ts'
import { bootstrapInterval, median } from '../../statistics.ts'
import { type KernelRun, sizeOf } from './define-kernel-task.ts'
import type { KernelAssignment } from './rival.ts'

type Description = Readonly<Record<string, unknown>>

const mega = 1e6

/** Four digits: more than any timing has, and a third of the file. */
function rounded(values: readonly number[]): number[] {
  return values.map((value) => Number(value.toPrecision(4)))
}

/** Ratios of two series round by round. */
function ratios(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, round) => value / (b[round] ?? Number.NaN))
}

/** A ratio's median and its 95 % bootstrap interval, as facts. */
function intervalFacts(name: string, samples: readonly number[]): Record<string, number> {
  const { low, high } = bootstrapInterval(samples)
  const [middle = 0, lowEnd = 0, highEnd = 0] = rounded([median(samples), low, high])
  return { [`${name}Median`]: middle, [`${name}Low`]: lowEnd, [`${name}High`]: highEnd }
}

/**
 * The metrics of one run, from what the rivals measured.
 * @param samples milliseconds by `own`, `stock`, `torch`, and `peak` or `copy` for the backend's best rate
 */
export function kernelMetrics(
  { work, bound }: Pick<KernelRun, 'work' | 'bound'>,
  samples: Readonly<Record<string, readonly number[]>>,
  descriptions: Readonly<Record<string, Description>>,
): Pick<TaskOutcome, 'metrics'> & { readonly facts: Record<string, number> } {
  const { own = [], stock, torch } = samples
  const rate = own.map((ms) => work / ms / mega) // 1e9 a second
  const best = bound === 'flops' ? samples.peak : samples.copy
  const bestWork = Number(descriptions.own?.[bound === 'flops' ? 'peakFlops' : 'copiedBytes'])
  const bestRate = best === undefined ? undefined : bestWork / Math.min(...best) / mega
  const metrics: Record<string, number[]> = { own: rounded(own), rate: rounded(rate) }
  const facts: Record<string, number> = { rounds: own.length }
  if (bestRate !== undefined) {
    metrics.share = rounded(rate.map((value) => value / bestRate))
    facts.bestRate = Number(bestRate.toPrecision(4))
  }
  if (stock !== undefined) {
    const speedup = ratios(stock, own)
    Object.assign(metrics, { stock: rounded(stock), speedup: rounded(speedup) })
    Object.assign(facts, intervalFacts('speedup', speedup))
  }
  if (torch !== undefined) {
    const torchRatio = ratios(own, torch)
    Object.assign(metrics, { torch: rounded(torch), torchRatio: rounded(torchRatio) })
    Object.assign(facts, intervalFacts('torchRatio', torchRatio))
  }
  const memories = Object.entries({ memory: 'own', stockMemory: 'stock', torchMemory: 'torch' })
  for (const [metric, rival] of memories) {
    const bytes = descriptions[rival]?.memory
    if (typeof bytes === 'number') metrics[metric] = rounded([bytes / mega])
  }
  const [memory, torchMemory] = [metrics.memory?.[0], metrics.torchMemory?.[0]]
  if (memory !== undefined && torchMemory !== undefined && torchMemory > 0)
    metrics.memoryRatio = rounded([memory / torchMemory])
  return { metrics, facts }
}

/** Lets our kernels, those of TensorFlow.js and the peers take turns at one operation. */
export async function measureKernel({ run, signal, progress }: TaskContext, kernel: KernelRun): Promise<TaskOutcome> {
  // Only to know that the backend is there: the rivals open it for themselves.
  const { adapter } = (await openBackend(run.backend)).describe()
  if (/swiftshader|llvmpipe|lavapipe|software/i.test(adapter ?? ''))
    throw new SkippedError(`${adapter} computes on the processor: its speed says nothing`)
  const base = {
    operation: kernel.operation,
    method: run.method,
    params: sizeOf(run.params),
    threads: availableParallelism(),
    roundMilliseconds: run.quick ? 5 : 30,
  }
  const rival = (kernels: 'own' | 'stock', also: readonly string[] = []): Rival => {
    const assignment: KernelAssignment = { ...base, backend: run.backend, kernels }
    const args = [join(import.meta.dirname, 'rival.ts'), JSON.stringify(assignment)]
    return { name: kernels, command: process.execPath, args, also }
  }
  const rivals = [
    rival('own', [kernel.bound === 'flops' ? 'peak' : 'copy']),
    ...(kernel.stock ? [rival('stock')] : []),
    ...(run.peers ?? []).map((name): Rival => {
      const python = findPeer(name)
      if (python === undefined) throw new SkippedError(`${name} is not set up here`)
      const onGpu = ['webgpu', 'tensorflow-gpu'].includes(run.backend)
      const assignment = { ...base, device: onGpu ? 'cuda' : 'cpu' }
      return { name, command: python, args: [peerScript(name), JSON.stringify(assignment)] }
    }),
  ]
  const rounds = run.quick ? 3 : 20
  const { samples, descriptions } = await interleave(rivals, {
    rounds,
    warmUpRounds: 1,
    enough: { rounds: 3, milliseconds: 3000 },
    startTogether: true,
    signal,
    onRound: (round) => progress(round / rounds, `round ${round}`),
  })
  const { metrics, facts } = kernelMetrics(kernel, samples, descriptions)
  const { own, ...others } = descriptions
  return { metrics, facts, device: { ...own, rivals: others } }
}

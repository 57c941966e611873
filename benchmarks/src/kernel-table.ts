import { describeParams } from './plan.ts'
import type { OkResult, Result } from './result.ts'
import { median } from './statistics.ts'
import { alignColumns, describeFigure } from './table.ts'

/** Whether a result belongs into the kernels' table. */
export function isKernelResult({ run }: Result): boolean {
  return run.family === 'kernels'
}

function middle(result: OkResult, metric: string): number | undefined {
  const samples = result.metrics[metric]?.samples
  return samples && median(samples)
}

function describeMiddle(result: OkResult, metric: string): string {
  const value = middle(result, metric)
  return value === undefined ? '-' : describeFigure(Number(value.toPrecision(3)))
}

/** A ratio's median with its interval: `3.1 (2.9-3.3)`. */
function describeRatio(result: OkResult, metric: string): string {
  const value = middle(result, metric)
  if (value === undefined) return '-'
  const ends = ['Low', 'High'].map((end) => Number(result.facts[`${metric}${end}`]).toPrecision(3))
  return `${describeFigure(Number(value.toPrecision(3)))} (${ends.map((end) => describeFigure(Number(end))).join('-')})`
}

function rowOf(result: OkResult): string[] {
  const { run, environment } = result
  const share = middle(result, 'share')
  return [
    `${run.task.replace('kernels/', '')} ${run.method}`,
    describeParams(run.params),
    run.backend,
    String(environment.device.threads ?? '-'),
    describeMiddle(result, 'own'),
    `${describeMiddle(result, 'rate')} ${result.metrics.rate?.unit ?? ''}`,
    share === undefined ? '-' : `${(share * 100).toFixed(0)} %`,
    describeRatio(result, 'speedup'),
    describeRatio(result, 'torchRatio'),
    describeMiddle(result, 'memory'),
    describeMiddle(result, 'memoryRatio'),
  ]
}

const head = [
  'kernel',
  'size',
  'backend',
  'threads',
  'ours [ms]',
  'rate',
  'of peak',
  'stock / ours',
  'ours / torch',
  'memory [MB]',
  'memory / torch',
]

/** One table of all kernels: medians, ratios with their 95 % bootstrap intervals. */
export function describeKernels(results: readonly Result[]): string {
  const measured = results.filter((result): result is OkResult => result.status === 'ok' && isKernelResult(result))
  if (measured.length === 0) return ''
  const quick = measured.some(({ run }) => run.quick) ? ' (quick: not for quoting)' : ''
  const table = alignColumns([head, ...measured.map(rowOf)])
  const notes =
    'stock / ours: how many times as fast as TensorFlow.js. ours / torch: time over that of PyTorch, below 1 is faster.\n' +
    'of peak: of the largest matrix product of this backend in the same run, or of the rate of copying for what is measured in GB/s.'
  return `kernels${quick}\n${table}\n${notes}`
}

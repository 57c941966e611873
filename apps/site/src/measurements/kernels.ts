import { measuredIn, type Row } from './rows.ts'
import { formatParams } from './format.ts'

/** A ratio of two times, in the middle of its 95 % bootstrap interval. */
export interface Ratio {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** The form of a kernel's row with the sizes that tell it from the other rows, such as `training, kernel 1`. */
export function kernelLabel(row: Row, rows: readonly Row[]): string {
  const telling = Object.entries(row.params).filter(([name, value]) =>
    rows.some((other) => other.params[name] !== value),
  )
  return [kernelForm(row), formatParams(Object.fromEntries(telling))].filter((part) => part !== '').join(', ')
}

/** The form of a kernel's row: its method without the family. */
export function kernelForm(row: Row): string {
  return row.method.slice(row.method.indexOf('/') + 1)
}

/**
 * A ratio that a kernel's run stored among its facts.
 * @param name `speedup` (TensorFlow.js over ours) or `torchRatio` (ours over PyTorch)
 */
export function ratioOf(row: Row, name: 'speedup' | 'torchRatio'): Ratio | null {
  const facts = measuredIn(row)[0]?.facts
  const [median, low, high] = ['Median', 'Low', 'High'].map((end) => facts?.[`${name}${end}`])
  return typeof median === 'number' && typeof low === 'number' && typeof high === 'number'
    ? { median, low, high }
    : null
}

/** The middle of a metric's samples; null where it was not measured. */
export function middleOf(row: Row, metric: string): number | null {
  const values = row.metrics[metric]?.values.toSorted((a, b) => a - b)
  if (values === undefined || values.length === 0) return null
  const half = (values.length - 1) / 2
  return (values[Math.floor(half)]! + values[Math.ceil(half)]!) / 2
}

/** Rows that one chart may show: of one machine, backend and version. */
export interface KernelGroup {
  readonly machineId: string
  readonly backend: string
  readonly quick: boolean
  readonly rows: readonly Row[]
}

/** Puts measured rows together by machine, backend and version. */
export function kernelGroups(rows: readonly Row[]): KernelGroup[] {
  const groups = Map.groupBy(rows, (row) => [row.machineId, row.backend, row.version, row.quick].join(' '))
  return [...groups.values()].map((own) => {
    const { machineId, backend, quick } = own[0]!
    return { machineId: machineId ?? '', backend, quick, rows: own }
  })
}

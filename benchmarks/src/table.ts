import { describeParams } from './plan.ts'
import type { Result } from './result.ts'
import { mean } from './statistics.ts'
import { type MetricSummary, summarise } from './summary.ts'

/** A number in at most four significant digits, without an exponent in the usual range. */
export function describeFigure(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2)
  return size >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)))
}

/** Aligns rows in columns; the first row is the head. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  const [head = [], ...body] = rows
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...body.map(line)].join('\n')
}

function describeMetric(metric: MetricSummary | undefined): string {
  if (metric === undefined) return ''
  const spread = metric.values.length > 1 ? ` ± ${describeFigure(metric.standardDeviation)}` : ''
  return `${describeFigure(metric.mean)}${spread}`
}

/** A table for each task: methods in rows, metrics in columns, mean ± standard deviation. */
export function describeResults(results: readonly Result[]): string {
  const tables: string[] = []
  for (const [task, group] of Map.groupBy(summarise(results), (summary) => summary.task)) {
    const names = [...new Set(group.flatMap(({ metrics }) => Object.keys(metrics)))]
    const heads = names.map((name) => {
      const metric = group.find(({ metrics }) => metrics[name])?.metrics[name]
      return metric ? `${metric.title} [${metric.unit}]` : name
    })
    const rows = group.map((summary) => [
      summary.method,
      describeParams(summary.params),
      summary.backend,
      String(summary.seeds.length),
      ...names.map((name) => describeMetric(summary.metrics[name])),
      describeFigure(mean(summary.results.map(({ seconds }) => seconds))),
    ])
    const table = alignColumns([['method', 'parameters', 'backend', 'seeds', ...heads, 'run [s]'], ...rows])
    tables.push(`${task}${group.some(({ quick }) => quick) ? ' (quick: not for quoting)' : ''}\n${table}`)
  }
  return tables.join('\n\n')
}

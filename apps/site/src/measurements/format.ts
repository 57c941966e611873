import type { MetricSummary } from '@x/benchmarks/results'
import type { RunSpec } from '@x/benchmarks/result'

/** A number with as many digits as its spread gives meaning to, at most four significant ones. */
function digits(value: number, spread: number): number {
  const significant = (x: number, count: number): number => count - 1 - Math.floor(Math.log10(Math.abs(x)))
  if (value === 0 && spread === 0) return 0
  const wanted = spread > 0 ? significant(spread, 2) : significant(value, 3)
  const most = value === 0 ? wanted : significant(value, 4)
  return Math.min(12, Math.max(0, Math.min(wanted, most)))
}

/** A fraction reads as a percentage; everything else as it is. */
function scaleOf(unit: string): number {
  return unit === 'fraction' ? 100 : 1
}

/** The unit as it stands in a table's head. */
export function unitLabel(unit: string): string {
  return unit === 'fraction' ? '%' : unit
}

/** A figure for the eye: `0.0144`, `99.0`. */
export function formatValue(value: number, unit: string, spread: number = 0): string {
  const scale = scaleOf(unit)
  return formatNumber(value * scale, digits(value * scale, spread * scale))
}

/** A mean and its spread in the same digits: `0.01440` and `0.00015`; no spread for a single value. */
export function formatSummary(metric: MetricSummary): { readonly mean: string; readonly spread: string | null } {
  const scale = scaleOf(metric.unit)
  const deviation = metric.standardDeviation * scale
  const places = digits(metric.mean * scale, deviation)
  return {
    mean: formatNumber(metric.mean * scale, places),
    spread: metric.values.length < 2 ? null : formatNumber(deviation, places),
  }
}

/** A value with its unit: `99.0 %`, `21.3 ms`. */
export function formatWithUnit(value: number, unit: string): string {
  return `${formatValue(value, unit)} ${unitLabel(unit)}`
}

function formatNumber(value: number, places: number): string {
  const text = value.toFixed(places)
  const [whole = '', fraction] = text.split('.')
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, '\u202f') : whole
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

/** A title at the beginning of something. */
export function capitalise(title: string): string {
  return title.charAt(0).toUpperCase() + title.slice(1)
}

/** Parameters in one line, empty when there are none. */
export function formatParams(params: RunSpec['params']): string {
  return Object.entries(params)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join('×') : String(value)}`)
    .join(', ')
}

/** `1.23×`; long ones lose their decimals. */
export function formatFactor(factor: number): string {
  return `${factor >= 100 ? factor.toFixed(0) : factor.toFixed(factor >= 10 ? 1 : 2)}×`
}

/** The day of a time stamp, as `2 Jan 2026`. */
export function formatDay(stamp: string): string {
  return new Date(stamp).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    timeZone: 'UTC',
  })
}

/** `3 seeds`, `one seed`. */
export function formatCount(count: number, noun: string): string {
  return count === 1 ? `one ${noun}` : `${count} ${noun}s`
}

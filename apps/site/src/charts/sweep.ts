import * as Plot from '@observablehq/plot'
import { formatWithUnit, unitLabel } from '../measurements/format.ts'
import { draw, endLabels, labelWidth, type Stroke } from './draw.ts'

/** A method's figures at each value of the parameter. */
interface SweepLine extends Stroke {
  readonly points: readonly { readonly at: number; readonly mean: number; readonly values: readonly number[] }[]
}

export interface SweepChart {
  readonly title: string
  readonly unit: string
  readonly parameter: string
  readonly lines: readonly SweepLine[]
}

const height = 250
const top = 12
const bottom = 26

/** Draws a metric against a parameter that doubles from point to point: means joined by lines, every value a dot. */
export function sweepChart(chart: SweepChart): string {
  const { unit } = chart
  const scale = unit === 'fraction' ? 100 : 1
  const lines = chart.lines.map((line) => {
    const points = line.points.toSorted((a, b) => a.at - b.at)
    return { ...line, points, end: points.at(-1)!.mean * scale }
  })
  const places = [...new Set(lines.flatMap((line) => line.points.map(({ at }) => at)))].sort((a, b) => a - b)
  const values = lines.flatMap((line) => line.points.flatMap((point) => point.values.map((value) => value * scale)))
  const low = Math.min(0, ...values)
  const high = Math.max(...values)
  return draw(describe(chart, lines), {
    height,
    marginLeft: 46,
    marginTop: top,
    marginBottom: bottom,
    marginRight: labelWidth(lines.map((line) => line.label)) + 12,
    x: { type: places[0]! > 0 ? 'log' : 'linear', base: 2, label: null, ticks: places, tickFormat: String },
    y: { domain: [low, high], label: null, grid: true, ticks: 5 },
    marks: [
      ...lines.flatMap((line) => [
        Plot.line(line.points, {
          x: 'at',
          y: (point: { mean: number }) => point.mean * scale,
          stroke: line.colour,
          strokeWidth: 2,
          ...(line.dash === null ? {} : { strokeDasharray: line.dash }),
        }),
        Plot.dot(
          line.points.flatMap((point) => point.values.map((value) => ({ x: point.at, y: value * scale }))),
          { x: 'x', y: 'y', fill: line.colour, fillOpacity: 0.5, r: 3, stroke: 'none' },
        ),
      ]),
      endLabels(
        lines.map(({ label, colour, end }) => ({
          label,
          colour,
          place: height - bottom - ((end - low) / (high - low || 1)) * (height - bottom - top),
        })),
        { top, bottom: height - bottom },
      ),
    ],
  })
}

function describe({ title, unit, parameter }: SweepChart, lines: readonly SweepLine[]): string {
  const figures = lines.map(({ label, points }) => {
    const [first, last] = [points[0]!, points.at(-1)!]
    return `${label} ${formatWithUnit(first.mean, unit)} at ${first.at}, ${formatWithUnit(last.mean, unit)} at ${last.at}`
  })
  return `${title} (${unitLabel(unit)}) by ${parameter}: ${figures.join('; ')}.`
}

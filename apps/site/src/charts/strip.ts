import * as Plot from '@observablehq/plot'
import { formatValue, formatWithUnit } from '../measurements/format.ts'
import { draw, labelWidth, type Stroke } from './draw.ts'

/** One line of a strip chart: every value is a dot, their mean a bar. */
interface Strip extends Stroke {
  readonly values: readonly number[]
  readonly mean: number
}

export interface StripChart {
  readonly title: string
  readonly unit: string
  readonly better: 'higher' | 'lower' | 'neither'
  readonly strips: readonly Strip[]
}

/** The most dots of one line: a timing has thousands of samples. */
const mostDots = 60

/** Draws one line for each method, the best on top: all values, their mean and its figure. */
export function stripChart(chart: StripChart): string {
  const { unit, better } = chart
  const scale = unit === 'fraction' ? 100 : 1
  const strips = chart.strips.toSorted((a, b) => (better === 'lower' ? a.mean - b.mean : b.mean - a.mean))
  const names = strips.map((strip) => strip.label)
  const figures = strips.map((strip) => formatValue(strip.mean, unit))
  const dots = strips.flatMap((strip) =>
    thin(strip.values).map((value) => ({ y: strip.label, x: value * scale, colour: strip.colour })),
  )
  const means = strips.map((strip, index) => ({
    y: strip.label,
    x: strip.mean * scale,
    colour: strip.colour,
    figure: figures[index],
  }))
  return draw(describe(chart, strips), {
    height: 34 * strips.length + 32,
    marginLeft: labelWidth(names),
    marginRight: labelWidth(figures) + 8,
    marginBottom: 26,
    marginTop: 6,
    x: { label: null, ticks: 4, nice: true, insetLeft: 8, insetRight: 8 },
    y: { domain: names, label: null, tickSize: 0 },
    color: { type: 'identity' },
    marks: [
      Plot.ruleY(names, { stroke: 'currentColor', strokeOpacity: 0.14 }),
      Plot.dot(dots, { x: 'x', y: 'y', fill: 'colour', fillOpacity: 0.5, r: 3.5, stroke: 'none' }),
      Plot.tickX(means, { x: 'x', y: 'y', stroke: 'colour', strokeWidth: 3, insetTop: 8, insetBottom: 8 }),
      Plot.text(means, {
        y: 'y',
        text: 'figure',
        frameAnchor: 'right',
        textAnchor: 'start',
        dx: 12,
        fill: 'currentColor',
        fontVariant: 'tabular-nums',
      }),
    ],
  })
}

function thin(values: readonly number[]): readonly number[] {
  if (values.length <= mostDots) return values
  const sorted = values.toSorted((a, b) => a - b)
  return Array.from({ length: mostDots }, (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (mostDots - 1))]!)
}

function describe(chart: StripChart, strips: readonly Strip[]): string {
  const order = { lower: 'lowest first', higher: 'highest first', neither: 'highest first' }[chart.better]
  const figures = strips.map((strip) => `${strip.label} ${formatWithUnit(strip.mean, chart.unit)}`)
  return `${chart.title}, mean by method, ${order}: ${figures.join(', ')}.`
}

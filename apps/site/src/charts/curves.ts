import * as Plot from '@observablehq/plot'
import { formatWithUnit, unitLabel } from '../measurements/format.ts'
import { draw, endLabels, labelWidth, type Stroke } from './draw.ts'

/** A method's curves, one for each seed. */
interface Line extends Stroke {
  /** whether it is background to the line that the chart is about */
  readonly greyed: boolean
  readonly runs: readonly { readonly steps: readonly number[]; readonly values: readonly number[] }[]
}

export interface CurvesChart {
  readonly title: string
  readonly unit: string
  /** what the horizontal axis counts; training steps by default */
  readonly by?: string
  readonly lines: readonly Line[]
}

/** The most points of one drawn line; longer curves are drawn as means of equal stretches. */
export const mostPoints = 160

const height = 250
const top = 12
const bottom = 26

/** Draws curves over training steps, or what else they are by: every seed a line, every method named at the end of its lines. */
export function curvesChart(chart: CurvesChart): string {
  const { unit } = chart
  const scale = unit === 'fraction' ? 100 : 1
  const lines = chart.lines.map((line) => {
    const runs = line.runs.map((run) => shortened(run.steps, run.values).map(({ x, y }) => ({ x, y: y * scale })))
    return { ...line, runs, end: mean(runs.map((run) => run.at(-1)!.y)) }
  })
  // What the chart is about is drawn last, on top.
  lines.sort((a, b) => Number(b.greyed) - Number(a.greyed))
  const values = lines.flatMap((line) => line.runs.flat().map((point) => point.y))
  const high = Math.max(...values)
  const lowest = Math.min(...values)
  const log = unit !== 'fraction' && lowest > 0 && high / lowest > 100
  const low = log ? lowest : Math.min(0, lowest)
  // Counts that are chosen to be compared double from one to the next.
  const doubling = chart.by !== undefined && lines.every(({ runs }) => runs.flat().every(({ x }) => x > 0))
  const share = (y: number): number => (log ? Math.log(y / low) / Math.log(high / low) : (y - low) / (high - low || 1))
  return draw(describe(chart, lines, scale), {
    height,
    marginLeft: 46,
    marginTop: top,
    marginBottom: bottom,
    marginRight: labelWidth(lines.map((line) => line.label)) + 12,
    x: {
      label: null,
      tickFormat: thousands,
      ...(doubling ? { type: 'log', base: 2, ticks: 5 } : { ticks: 4 }),
    },
    y: {
      domain: [low, high],
      label: null,
      grid: true,
      ...(log ? { type: 'log', ticks: roundTicks(low, high), tickFormat: String } : { ticks: 5 }),
    },
    marks: [
      ...lines.flatMap((line) =>
        line.runs.map((run) =>
          Plot.line(run, {
            x: 'x',
            y: 'y',
            stroke: line.greyed ? 'currentColor' : line.colour,
            strokeOpacity: line.greyed ? 0.28 : 0.85,
            strokeWidth: line.greyed ? 1 : 1.5,
            ...(line.dash === null ? {} : { strokeDasharray: line.dash }),
          }),
        ),
      ),
      endLabels(
        lines.map(({ label, colour, greyed, end }) => ({
          label,
          colour: greyed ? null : colour,
          place: height - bottom - share(end) * (height - bottom - top),
        })),
        { top, bottom: height - bottom },
      ),
    ],
  })
}

/** The 1, 2 and 5 of every decade in a range; over many decades the 1 alone. */
function roundTicks(low: number, high: number): number[] {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))]
  const steps = last - first > 3 ? [1] : [1, 2, 5]
  const decades = Array.from({ length: last - first + 1 }, (_, index) => first + index)
  return decades
    .flatMap((decade) => steps.map((step) => Number(`${step}e${decade}`)))
    .filter((tick) => tick >= low && tick <= high)
}

function thousands(step: number): string {
  return step >= 10_000 ? `${step / 1000}k` : String(step)
}

function shortened(steps: readonly number[], values: readonly number[]): { x: number; y: number }[] {
  const stretch = Math.ceil(steps.length / mostPoints)
  return Array.from({ length: Math.ceil(steps.length / stretch) }, (_, index) => {
    const from = index * stretch
    return { x: mean(steps.slice(from, from + stretch)), y: mean(values.slice(from, from + stretch)) }
  })
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function describe(
  { title, unit, by }: CurvesChart,
  lines: readonly { label: string; end: number }[],
  scale: number,
): string {
  const figures = lines
    .toSorted((a, b) => b.end - a.end)
    .map(({ label, end }) => `${label} ends at ${formatWithUnit(end / scale, unit)}`)
  return `${title} ${by === undefined ? 'over training' : `by ${by}`}, one line per seed (${unitLabel(unit)}): ${figures.join(', ')}.`
}

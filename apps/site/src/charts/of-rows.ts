import type { MethodLook } from '../measurements/measured.ts'
import { capitalise, formatParams, unitLabel } from '../measurements/format.ts'
import { measuredIn, type Row, sweptParameter } from '../measurements/rows.ts'
import { curvesChart } from './curves.ts'
import type { Drawn, Stroke } from './draw.ts'
import { stripChart } from './strip.ts'
import { sweepChart } from './sweep.ts'

/** How methods are named and drawn, by id. */
export type Looks = ReadonlyMap<string, MethodLook>

/** The parameters that tell a row from the method's other rows; empty where it is the only one. */
export function rowVariant(row: Row, rows: readonly Row[], without: string | null = null): string {
  const namesakes = rows.filter((other) => other.method === row.method && other !== row)
  const telling = Object.entries(row.params).filter(
    ([name, value]) =>
      name !== without && namesakes.some((other) => JSON.stringify(other.params[name]) !== JSON.stringify(value)),
  )
  return formatParams(Object.fromEntries(telling))
}

/** A row's name and line in a chart; a method's second variant has its colour too, but dashed. */
function strokeOf(row: Row, rows: readonly Row[], looks: Looks, without: string | null = null): Stroke {
  const look = looks.get(row.method)
  const variants = [
    ...new Set(rows.filter(({ method }) => method === row.method).map((own) => rowVariant(own, rows, without))),
  ]
  const variant = rowVariant(row, rows, without)
  const dashes = [look?.dash ?? null, '5 3', '2 3', '8 3 2 3']
  return {
    label: [look?.title ?? row.method, variant].filter((part) => part !== '').join(', '),
    colour: look?.colour ?? 'currentColor',
    dash: dashes[variants.indexOf(variant) % dashes.length] ?? null,
  }
}

/** One strip chart for each metric that at least two rows have. */
export function stripCharts(rows: readonly Row[], metrics: readonly string[], looks: Looks): Drawn[] {
  return metrics.flatMap((name): Drawn[] => {
    const measured = rows.filter((row) => row.metrics[name] !== undefined)
    const first = measured[0]?.metrics[name]
    if (first === undefined || measured.length < 2) return []
    const strips = measured.map((row) => {
      const { values, mean } = row.metrics[name]!
      return Object.assign(strokeOf(row, rows, looks), { values, mean })
    })
    const { unit, better } = first
    const title = capitalise(first.title)
    const note = better === 'neither' ? unitLabel(unit) : `${unitLabel(unit)}, ${better} is better`
    return [{ name, title, note, svg: stripChart({ title, unit, better, strips }) }]
  })
}

/** One chart for each curve that the runs recorded; all but one row's method can be greyed. */
export function curveCharts(rows: readonly Row[], looks: Looks, focus: string | null = null): Drawn[] {
  const all = rows.flatMap((row) => measuredIn(row))
  const names = [...new Set(all.flatMap((result) => Object.keys(result.curves)))]
  return names.flatMap((name): Drawn[] => {
    const lines = rows.flatMap((row) => {
      const runs = measuredIn(row).flatMap((result) => result.curves[name] ?? [])
      const greyed = focus !== null && row.method !== focus
      return runs.some((run) => run.steps.length > 1) ? [{ ...strokeOf(row, rows, looks), greyed, runs }] : []
    })
    const first = all.flatMap((result) => result.curves[name] ?? [])[0]
    if (first === undefined || lines.length === 0) return []
    const title = capitalise(first.title)
    const { unit, by } = first
    const svg = curvesChart({ title, unit, ...(by !== undefined && { by }), lines })
    return [{ name, title, note: `${unitLabel(unit)}, by ${by ?? 'training step'}`, svg }]
  })
}

/** One chart for each metric against the parameter that is varied; none where nothing is. */
export function sweepCharts(rows: readonly Row[], metrics: readonly string[], looks: Looks): Drawn[] {
  const parameter = sweptParameter(rows)
  if (parameter === null) return []
  return metrics.flatMap((name): Drawn[] => {
    const measured = rows.filter((row) => row.metrics[name] !== undefined)
    const first = measured[0]?.metrics[name]
    if (first === undefined) return []
    const strokes = new Map(measured.map((row) => [row, strokeOf(row, rows, looks, parameter)]))
    const lines = [...Map.groupBy(measured, (row) => strokes.get(row)!.label).values()].map((own) => {
      const points = own.map((row) => {
        const { mean, values } = row.metrics[name]!
        return { at: Number(row.params[parameter]), mean, values }
      })
      return Object.assign(strokes.get(own[0]!)!, { points })
    })
    const title = capitalise(first.title)
    const svg = sweepChart({ title, unit: first.unit, parameter, lines })
    return [{ name, title, note: `${unitLabel(first.unit)}, by ${parameter}`, svg }]
  })
}

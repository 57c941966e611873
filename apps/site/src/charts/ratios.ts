import * as Plot from '@observablehq/plot'
import { formatFactor } from '../measurements/format.ts'
import { draw } from './draw.ts'

interface Rival {
  readonly name: string
  readonly colour: string
}

interface RatioMark extends Rival {
  readonly median: number
  readonly low: number
  readonly high: number
}

export interface RatioChart {
  readonly title: string
  readonly rivals: readonly Rival[]
  /** from top to bottom, each with a mark for every rival that was measured */
  readonly lines: readonly { readonly label: string; readonly marks: readonly RatioMark[] }[]
}

/** The width of one column of figures. */
const column = 62

/** Draws ratios on a logarithmic scale with their intervals, each line under its label, the figures at its right. */
export function ratioChart({ title, rivals, lines }: RatioChart): string {
  const names = lines.map(({ label }) => label)
  const marks = lines.flatMap(({ label, marks }) => marks.map((mark) => ({ y: label, ...mark })))
  return draw(describe(title, lines), {
    height: 38 * lines.length + 62,
    marginLeft: 8,
    marginRight: column * rivals.length + 8,
    marginTop: 30,
    marginBottom: 30,
    x: { type: 'log', label: null, ticks: 3, tickFormat: (value: number) => `${value}×`, nice: true },
    y: { domain: names, axis: null },
    color: { type: 'identity' },
    marks: [
      Plot.ruleX([1], { stroke: 'currentColor', strokeOpacity: 0.5 }),
      Plot.ruleY(names, { stroke: 'currentColor', strokeOpacity: 0.14 }),
      Plot.text(names, {
        y: (name: string) => name,
        text: (name: string) => name,
        frameAnchor: 'left',
        textAnchor: 'start',
        dy: -12,
        fill: 'currentColor',
      }),
      Plot.ruleY(marks, { y: 'y', x1: 'low', x2: 'high', stroke: 'colour', strokeWidth: 2.5 }),
      Plot.dot(marks, { y: 'y', x: 'median', r: 4.5, fill: 'colour', stroke: 'none' }),
      ...rivals.flatMap((rival, index) => {
        const place = {
          frameAnchor: 'right',
          textAnchor: 'end',
          dx: column * (index + 1),
          fill: 'currentColor',
        } as const
        const own = marks.filter(({ name }) => name === rival.name)
        return [
          Plot.text(own, { ...place, y: 'y', text: ({ median }) => formatFactor(median), fontVariant: 'tabular-nums' }),
          Plot.dot([0], { frameAnchor: 'top-left', dx: 6 + 130 * index, dy: -20, r: 4.5, fill: rival.colour }),
          Plot.text([rival.name], {
            frameAnchor: 'top-left',
            textAnchor: 'start',
            lineAnchor: 'middle',
            dx: 16 + 130 * index,
            dy: -20,
            fill: 'currentColor',
          }),
        ]
      }),
    ],
  })
}

function describe(title: string, lines: RatioChart['lines']): string {
  const said = lines.map(
    ({ label, marks }) => `${label}: ${marks.map(({ name, median }) => `${name} ${formatFactor(median)}`).join(', ')}`,
  )
  return `${title}. ${said.join('; ')}.`
}

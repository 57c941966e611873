import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

const { document } = parseHTML('<html><body></body></html>')

/** A chart's width in its own units: about that of a phone, so that text stays legible when it fills one. */
const chartWidth = 440

/** How something is drawn; colours may be custom properties, so that one SVG serves both themes. */
export interface Stroke {
  readonly label: string
  readonly colour: string
  readonly dash: string | null
}

/** A chart ready for a page. */
export interface Drawn {
  /** the metric or curve that it shows */
  readonly name: string
  readonly title: string
  readonly note: string
  readonly svg: string
}

/**
 * Draws a plot at build time.
 * @param label what the chart says, for those who can't see it
 * @returns the SVG's markup
 */
export function draw(label: string, options: Plot.PlotOptions): string {
  const svg = Plot.plot({
    document: document as unknown as Document,
    width: chartWidth,
    style: { background: 'none', color: 'inherit', fontFamily: 'inherit', fontSize: '13px', overflow: 'visible' },
    ...options,
  })
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', label)
  // A label on a group without a role is an error to screen readers.
  for (const group of svg.querySelectorAll('g[aria-label]')) group.removeAttribute('aria-label')
  return shorten(svg.outerHTML)
}

/** Tenths of a unit are finer than any screen shows. */
function shorten(markup: string): string {
  return markup.replace(/ (?:d|transform|x|y|x1|x2|y1|y2|cx|cy)="[^"]*"/g, (attribute) =>
    attribute.replace(/-?\d+\.\d\d+/g, (number) => String(Math.round(Number(number) * 10) / 10)),
  )
}

/** A name beside the end of a line; without a colour it is a greyed one. */
export interface EndLabel {
  readonly label: string
  readonly colour: string | null
  /** where its line ends, from the top of the chart */
  readonly place: number
}

/** Names lines at their ends, in the right margin, moved apart where lines end together. */
export function endLabels(labels: readonly EndLabel[], frame: { top: number; bottom: number }): Plot.CompoundMark {
  const places = spreadOut(
    labels.map(({ place }) => place),
    16,
    frame.top,
    frame.bottom,
  )
  return Plot.marks(
    labels.map(({ label, colour }, index) => {
      const dy = places[index]! - frame.top
      const anchor = { frameAnchor: 'top-right', dy } as const
      return [
        Plot.dot([0], {
          ...anchor,
          dx: 10,
          r: 4,
          stroke: 'none',
          fill: colour ?? 'currentColor',
          fillOpacity: colour === null ? 0.3 : 1,
        }),
        Plot.text([label], { ...anchor, dx: 19, textAnchor: 'start', lineAnchor: 'middle', fill: 'currentColor' }),
      ]
    }),
  )
}

/** Moves places apart until none is nearer to the next than `gap`, within `low` and `high`; keeps their order. */
export function spreadOut(places: readonly number[], gap: number, low: number, high: number): number[] {
  const order = places.map((_, index) => index).sort((a, b) => places[a]! - places[b]!)
  const moved = [...places]
  order.forEach((index, rank) => {
    const least = rank === 0 ? low : moved[order[rank - 1]!]! + gap
    moved[index] = Math.max(moved[index]!, least)
  })
  order.toReversed().forEach((index, rank, reversed) => {
    const most = rank === 0 ? high : moved[reversed[rank - 1]!]! - gap
    moved[index] = Math.min(moved[index]!, most)
  })
  return moved
}

/** How long a label is in the chart's units, roughly: enough to leave room for it. */
export function labelWidth(labels: readonly string[]): number {
  return Math.max(0, ...labels.map((label) => label.length)) * 7 + 10
}

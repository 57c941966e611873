/**
 * Eight colours for methods, each told from the others with deuteranopia and protanopia too, the same hue in both
 * themes. The pages name them by place, `var(--method-0)`, so that one SVG serves light and dark.
 */
export const palette: Readonly<Record<'light' | 'dark', readonly string[]>> = {
  light: ['#2258b8', '#ec5a3c', '#0c9aa6', '#4c1d8f', '#6f8f00', '#8f2358', '#a377f2', '#3c4516'],
  dark: ['#62b0ff', '#ff9070', '#3fd2c8', '#8a5cf0', '#cfe04a', '#dd4f98', '#f3dcff', '#a27f3e'],
}

/** The page behind them. */
export const paper: Readonly<Record<'light' | 'dark', string>> = { light: '#fdfdfc', dark: '#14161a' }

/** How a method is drawn, the same everywhere. */
export interface Ink {
  readonly colour: string
  /** past eight methods colours come again, dashed */
  readonly dash: string | null
}

/** Gives every method its ink, by its place in its family: methods of different families never share a chart. */
export function inksOf(methods: readonly string[]): ReadonlyMap<string, Ink> {
  const families = Map.groupBy(methods, (method) => method.split('/')[0])
  return new Map([...families.values()].flatMap((own) => own.map((method, place) => [method, inkAt(place)] as const)))
}

function inkAt(place: number): Ink {
  const count = palette.light.length
  return { colour: `var(--method-${place % count})`, dash: place < count ? null : '4 3' }
}

/** The custom properties of both themes. */
export function paletteCss(): string {
  const lines = (theme: 'light' | 'dark'): string =>
    [...palette[theme].map((colour, place) => `--method-${place}:${colour}`), `--paper:${paper[theme]}`].join(';')
  return `:root{${lines('dark')}}:root[data-theme='light']{${lines('light')}}`
}

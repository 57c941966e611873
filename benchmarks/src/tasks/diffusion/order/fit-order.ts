/** An error at a number of steps. */
export interface ErrorAt {
  readonly steps: number
  readonly error: number
}

/** How far above the floor an error must be: what float32 adds to it, in squares, is then below a hundredth. */
const clearance = 10
/** The finest so many octaves of what is above the floor are fitted: there the first term of the error is alone. */
const octaves = 2
const fewest = 3

/** The points by which the order is fitted: from the coarsest on, before the first that is near the floor, the finest two octaves. */
export function fitRange(errors: readonly ErrorAt[], floor: number): ErrorAt[] {
  const sorted = errors.toSorted((a, b) => a.steps - b.steps)
  const near = sorted.findIndex(({ error }) => error < clearance * floor)
  const above = near < 0 ? sorted : sorted.slice(0, near)
  const finest = above.at(-1)?.steps ?? 0
  // Numbers of steps are rounded.
  return above.filter(({ steps }) => steps * 2 ** octaves >= 0.98 * finest)
}

/** The empirical order: the slope of log error against log steps by least squares; undefined where fewer than three points tell. */
export function fitOrder(range: readonly ErrorAt[]): number | undefined {
  if (range.length < fewest || range.some(({ error }) => !Number.isFinite(error) || error <= 0)) return undefined
  const points = range.map(({ steps, error }) => [Math.log(steps), Math.log(error)] as const)
  const mean = (of: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)]
  return -mean(([x, y]) => (x - mx) * (y - my)) / mean(([x]) => (x - mx) ** 2)
}

/** A mixture of isotropic Gaussians in the plane. */
export interface PlanarMixture {
  /** `[K][2]` */
  readonly means: readonly (readonly [number, number])[]
  /** `[K]` */
  readonly variances: readonly number[]
  /** `[K]`, in proportion */
  readonly weights: readonly number[]
}

export type Point = readonly [number, number]

/** The sigma / alpha between which trajectories run. */
export const sigmas = { max: 20, min: 0.02 } as const

/** In the logarithm of sigma. */
const length = Math.log(sigmas.max / sigmas.min)

/** Eight Gaussians of standard deviation 0.3 on a ring of radius 2. */
export const ring: PlanarMixture = {
  means: Array.from({ length: 8 }, (_, k) => [2 * Math.cos((Math.PI / 4) * k), 2 * Math.sin((Math.PI / 4) * k)]),
  variances: Array.from({ length: 8 }, () => 0.09),
  weights: Array.from({ length: 8 }, () => 1),
}

/** Six Gaussians of different weights and widths, nowhere in order. */
export const scattered: PlanarMixture = {
  means: Array.from({ length: 6 }, (_, k) => [2.2 * Math.cos(1.1 * k + 0.3), 1.7 * Math.sin(1.9 * k + 0.5)]),
  variances: Array.from({ length: 6 }, (_, k) => (0.25 + 0.08 * Math.sin(1.3 * k + 0.4)) ** 2),
  weights: Array.from({ length: 6 }, (_, k) => 1 + 0.5 * Math.cos(0.8 * k)),
}

/** E[x0 | x0 + sigma eps = x] in double precision. */
export function meanAt({ means, variances, weights }: PlanarMixture, [x, y]: Point, sigma: number): Point {
  const noise = sigma * sigma
  let [peak, total, sumX, sumY] = [-Infinity, 0, 0, 0]
  for (let k = 0; k < means.length; k++) {
    const [mx, my] = means[k]!
    const spread = variances[k]! + noise
    const logit = Math.log(weights[k]! / spread) - ((x - mx) ** 2 + (y - my) ** 2) / (2 * spread)
    if (logit > peak) {
      const rest = Math.exp(peak - logit)
      ;[peak, total, sumX, sumY] = [logit, total * rest, sumX * rest, sumY * rest]
    }
    const share = Math.exp(logit - peak)
    const gain = variances[k]! / spread
    total += share
    sumX += share * (mx + gain * (x - mx))
    sumY += share * (my + gain * (y - my))
  }
  return [sumX / total, sumY / total]
}

/** The probability flow from the greatest sigma to the least by `n` steps of Runge and Kutta in the logarithm of sigma. */
function integrated(mixture: PlanarMixture, start: Point, n: number): Point {
  const h = length / n
  let [x, y] = start
  // dx / d(-ln sigma) = D - x
  const slope = (px: number, py: number, at: number): Point => {
    const [dx, dy] = meanAt(mixture, [px, py], sigmas.max * Math.exp(-at))
    return [dx - px, dy - py]
  }
  for (let i = 0; i < n; i++) {
    const a = slope(x, y, i * h)
    const b = slope(x + (h / 2) * a[0], y + (h / 2) * a[1], (i + 0.5) * h)
    const c = slope(x + (h / 2) * b[0], y + (h / 2) * b[1], (i + 0.5) * h)
    const d = slope(x + h * c[0], y + h * c[1], (i + 1) * h)
    x += (h / 6) * (a[0] + 2 * b[0] + 2 * c[0] + d[0])
    y += (h / 6) * (a[1] + 2 * b[1] + 2 * c[1] + d[1])
  }
  return [x, y]
}

/**
 * Where the probability flow takes a point from the greatest sigma to the least: Romberg's table over ever more steps, until
 * two of its corners agree.
 * @param tolerance of both coordinates; default 1e-12
 * @throws RangeError when they never do
 */
export function exactEnd(mixture: PlanarMixture, start: Point, tolerance: number = 1e-12): Point {
  let row: Point[] = []
  for (let n = 64; n <= 2 ** 14; n *= 2) {
    const next: Point[] = [integrated(mixture, start, n)]
    for (const [i, [x, y]] of row.entries()) {
      // The error of four orders is followed by a term for each that is higher.
      const rest = 2 ** (4 + i) - 1
      const [fx, fy] = next[i]!
      next.push([fx + (fx - x) / rest, fy + (fy - y) / rest])
    }
    const [[x, y], before] = [next.at(-1)!, row.at(-1)]
    if (before && Math.abs(x - before[0]) <= tolerance && Math.abs(y - before[1]) <= tolerance) return [x, y]
    row = next
  }
  throw new RangeError(`tolerance: ${tolerance} is not reached from ${start.join(', ')}`)
}

/** The 2-norm of d end / d(start / sigma): how much a trajectory makes of an error at its start. */
export function sensitivity(mixture: PlanarMixture, [x, y]: Point): number {
  const h = 1e-5 * sigmas.max
  const end = (dx: number, dy: number): Point => integrated(mixture, [x + dx, y + dy], 100)
  const column = (dx: number, dy: number): Point => {
    const [plus, minus] = [end(dx, dy), end(-dx, -dy)]
    return [(plus[0] - minus[0]) / 2e-5, (plus[1] - minus[1]) / 2e-5]
  }
  const [[a, c], [b, d]] = [column(h, 0), column(0, h)]
  const squares = a * a + b * b + c * c + d * d
  return Math.sqrt((squares + Math.sqrt(Math.max(0, squares ** 2 - 4 * (a * d - b * c) ** 2))) / 2)
}

import { type GaussianMixture, gaussianMixture } from './gaussian-mixture.ts'

export interface PlanarSetOptions {
  /** standard deviation around the set's curves and edges */
  readonly noise?: number
  /** stretches everything, noise too; default 1 */
  readonly scale?: number
}

export interface ModesOptions extends PlanarSetOptions {
  /** default 8 */
  readonly modes?: number
  /** of the ring; default 2 */
  readonly radius?: number
}

/** A point with its weight and label. */
interface Place {
  readonly at: readonly [number, number]
  readonly weight: number
  readonly label: number
}

/**
 * Gaussians on a ring, by default eight of standard deviation 0.3 at radius 2: the mixture itself. The label is the mode.
 * @throws RangeError naming an option that is not positive
 */
export function gaussianRing(options: ModesOptions = {}): GaussianMixture {
  const { modes = 8, radius = 2, noise = 0.3, scale = 1 } = options
  if (!Number.isInteger(modes) || modes < 1)
    throw new RangeError(`modes: expected a whole number >= 1, got ${String(modes)}`)
  requirePositive('radius', radius)
  return mixtureOf(
    Array.from({ length: modes }, (_, i) => ({ at: polar(radius, (2 * Math.PI * i) / modes), weight: 1, label: i })),
    noise,
    scale,
  )
}

/**
 * Two half circles of radius 1 that reach into one another, smoothed by noise (0.1). The label is the moon.
 *
 * A fine finite mixture, for which scores are exact: its Gaussians stand one standard deviation apart, which differs from
 * the smoothed curve by less than float32 tells, but at the ends.
 * @throws RangeError naming an option that is not positive
 */
export function moons(options: PlanarSetOptions = {}): GaussianMixture {
  const { noise = 0.1, scale = 1 } = options
  requirePositive('noise', noise)
  const angles = between(0, Math.PI, Math.PI / noise)
  return mixtureOf(
    angles.flatMap((angle) => [
      { at: [Math.cos(angle) - 0.5, Math.sin(angle) - 0.25], weight: 1, label: 0 },
      { at: [0.5 - Math.cos(angle), 0.25 - Math.sin(angle)], weight: 1, label: 1 },
    ]),
    noise,
    scale,
  )
}

/**
 * Three circles around one centre, of radius 0.6, 1.2 and 1.8, each with a third of the weight, smoothed by noise (0.08).
 * The label is the ring. A fine finite mixture, as `moons` is.
 * @throws RangeError naming an option that is not positive
 */
export function rings(options: PlanarSetOptions = {}): GaussianMixture {
  const { noise = 0.08, scale = 1 } = options
  requirePositive('noise', noise)
  return mixtureOf(
    [0.6, 1.2, 1.8].flatMap((radius, label) => {
      const angles = between(0, 2 * Math.PI, (2 * Math.PI * radius) / noise)
      return angles.map((angle) => ({ at: polar(radius, angle), weight: 1 / angles.length, label }))
    }),
    noise,
    scale,
  )
}

/**
 * The eight dark squares of a board of four by four, side 1, with edges smoothed by noise (0.05). The label is the square.
 *
 * A fine finite mixture: in each square a grid of Gaussians, one standard deviation apart, flat inside to float32.
 * @throws RangeError naming an option that is not positive
 */
export function checkerboard(options: PlanarSetOptions = {}): GaussianMixture {
  const { noise = 0.05, scale = 1 } = options
  requirePositive('noise', noise)
  const inside = between(0, 1, 1 / noise)
  const squares = Array.from({ length: 16 }, (_, i) => [i % 4, Math.floor(i / 4)] as const).filter(
    ([x, y]) => (x + y) % 2 === 0,
  )
  return mixtureOf(
    squares.flatMap(([x, y], label) =>
      inside.flatMap((dx) => inside.map((dy) => ({ at: [x - 2 + dx, y - 2 + dy] as const, weight: 1, label }))),
    ),
    noise,
    scale,
  )
}

/**
 * Two spirals of one and a half turns out to radius 2, smoothed by noise (0.06), with equal weight along their length. The
 * label is the arm. A fine finite mixture, as `moons` is.
 * @throws RangeError naming an option that is not positive
 */
export function spirals(options: PlanarSetOptions = {}): GaussianMixture {
  const { noise = 0.06, scale = 1 } = options
  requirePositive('noise', noise)
  const turn = 3 * Math.PI
  const growth = 2 / turn
  // An arc of dangle has the length growth sqrt(1 + angle^2) dangle.
  const length = (growth / 2) * (turn * Math.hypot(turn, 1) + Math.asinh(turn))
  const angles = between(0, turn, (2 * length) / noise)
  return mixtureOf(
    angles.flatMap((angle) =>
      [0, 1].map((label) => ({
        at: polar(growth * angle, angle + label * Math.PI),
        weight: Math.hypot(angle, 1),
        label,
      })),
    ),
    noise,
    scale,
  )
}

/**
 * Five bent arms around a centre: radii are normal around 1 with standard deviation 0.3, an arm turns by exp(radius) / 4,
 * and noise (0.05) blurs it. The label is the arm. A fine finite mixture, as `moons` is.
 * @throws RangeError naming an option that is not positive
 */
export function pinwheel(options: PlanarSetOptions = {}): GaussianMixture {
  const { noise = 0.05, scale = 1 } = options
  requirePositive('noise', noise)
  const radii = between(0.1, 1.9, 1.8 / noise)
  return mixtureOf(
    radii.flatMap((radius) =>
      [0, 1, 2, 3, 4].map((label) => ({
        at: polar(radius, (2 * Math.PI * label) / 5 + Math.exp(radius) / 4),
        weight: Math.exp(-((radius - 1) ** 2) / (2 * 0.3 ** 2)),
        label,
      })),
    ),
    noise,
    scale,
  )
}

function mixtureOf(places: readonly Place[], noise: number, scale: number): GaussianMixture {
  requirePositive('noise', noise)
  requirePositive('scale', scale)
  return gaussianMixture({
    means: places.map(({ at }) => at.map((value) => scale * value)),
    covariances: (scale * noise) ** 2,
    weights: places.map(({ weight }) => weight),
    labels: places.map(({ label }) => label),
  })
}

function polar(radius: number, angle: number): [number, number] {
  return [radius * Math.cos(angle), radius * Math.sin(angle)]
}

/** The middles of at least `parts` equal parts. */
function between(from: number, to: number, parts: number): number[] {
  const count = Math.ceil(parts)
  return Array.from({ length: count }, (_, i) => from + ((i + 0.5) * (to - from)) / count)
}

function requirePositive(name: string, value: number): void {
  if (!(value > 0 && value < Infinity)) throw new RangeError(`${name}: expected a number > 0, got ${String(value)}`)
}

import * as Plot from '@observablehq/plot'
import * as tf from '@tensorflow/tfjs-core'
import * as diffusion from '@x/diffusion'
import type { Drawn } from '../charts/draw.ts'
import type { Method } from '../families.ts'
import { drawPlane, planeGrid, type Point, pointsOf, ring } from './plane.ts'

const count = 24
/** The paths of a sampler that draws noise cross: fewer of them can be followed. */
const noisyCount = 6
const steps = 8
const fineSteps = 160

/** Where a sampling went: for each sample its points, one for each level of the grid. */
type Paths = readonly (readonly Point[])[]

/** What a sampler needs besides its defaults, and where it begins. */
interface Scene {
  readonly options?: object
  readonly start: tf.Tensor
  readonly grid: diffusion.Grid
  /** what the drawing is of */
  readonly title: string
}

async function follow(sampler: diffusion.Sampler, { start, grid }: Scene, seed = 0): Promise<Paths> {
  const levels: Point[][] = [pointsOf(await start.data())]
  const end = await sampler(ring.denoise as diffusion.Denoiser, start, grid, {
    key: diffusion.key(seed),
    onStep: async ({ x }) => void levels.push(pointsOf(await x.data())),
  })
  end.dispose()
  return levels[0]!.map((_, i) => levels.map((points) => points[i]!))
}

const usual: Scene = {
  start: diffusion.startNoise(diffusion.key(0), [count, 2], planeGrid(steps), { scale: 'unit' }),
  grid: planeGrid(steps),
  title: 'From noise to eight Gaussians',
}

/** Where the exact flow takes the usual start. */
const exact = await follow(diffusion.heun(), { ...usual, grid: planeGrid(fineSteps) })

const scenes: Readonly<Record<string, Scene>> = {
  'ddim-inversion': {
    start: ring.sample(count, diffusion.key(2)),
    grid: planeGrid(steps).toReversed(),
    title: 'From eight Gaussians to the noise that leads to them',
  },
  repaint: {
    ...usual,
    options: { known: tf.tensor2d([[1, 0]]), mask: tf.tensor2d([[1, 0]]), jumpLength: 2, repeats: 4 },
    title: 'Of eight Gaussians, where the horizontal place is known to be 1',
  },
}

/** The paths of a sampler with few steps, over those of the exact flow where it follows that. */
export async function trajectoryFigures(method: Method): Promise<Drawn[]> {
  const make = (diffusion as unknown as Record<string, (options?: object) => diffusion.Sampler>)[method.exportName!]!
  const scene = scenes[method.name] ?? usual
  const sampler = make(scene.options)
  const all = await follow(sampler, scene)
  const draws = endDistance(all, await follow(sampler, scene, 1)) > 0
  const flows = scene === usual && !draws
  const paths = draws ? all.slice(0, noisyCount) : all
  const taken = all[0]!.length - 1
  const off = endDistance(all, exact).toPrecision(2)
  const note = `${taken} steps, ${draws ? 'noise on the way' : flows ? `ends ${off} from those of the exact flow, thin, in the mean` : 'no noise'}`
  const line = (path: readonly Point[], options: Plot.LineOptions): Plot.Markish =>
    Plot.line(path, { clip: true, ...options })
  return [
    {
      name: 'trajectories',
      title: scene.title,
      note,
      svg: drawPlane(`${method.title}, ${paths.length} paths in the plane. ${scene.title}: ${note}.`, [
        ...(flows ? exact.map((path) => line(path, { stroke: 'currentColor', strokeOpacity: 0.4, strokeWidth: 0.8 })) : []), // prettier-ignore
        ...paths.flatMap((path) => [
          line(path, { stroke: 'var(--method-0)', strokeWidth: 1.2, strokeOpacity: 0.8 }),
          Plot.dot(path.slice(0, -1), { fill: 'var(--method-0)', r: 1.8, stroke: 'none', clip: true }),
          Plot.dot(path.slice(-1), { fill: 'var(--method-1)', r: 3.2, stroke: 'none' }),
        ]),
      ]),
    },
  ]
}

/** How far ends are apart, in the mean. */
function endDistance(some: Paths, others: Paths): number {
  const each = some.map((path, i) => {
    const [a, b] = [path.at(-1)!, others[i]!.at(-1)!]
    return Math.hypot(a[0] - b[0], a[1] - b[1])
  })
  return each.reduce((sum, value) => sum + value, 0) / each.length
}

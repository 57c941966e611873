import * as Plot from '@observablehq/plot'
import * as tf from '@tensorflow/tfjs-core'
import * as diffusion from '@x/diffusion'
import type { Drawn } from '../charts/draw.ts'
import type { Method } from '../families.ts'
import { drawPlane, planeGrid, type Point, pointsOf, ring } from './plane.ts'

const count = 120

/** A guidance of the ring, and what samples it is compared with. */
interface Scene {
  readonly guidance: diffusion.Guidance<tf.Tensor>
  readonly title: string
  readonly note: string
}

const blurred = diffusion.gaussianRing({ radius: 1.5, noise: 0.45 })

const scenes: Readonly<Record<string, Scene>> = {
  'classifier-free': {
    guidance: diffusion.classifierFree({ weight: 4 }),
    title: 'Conditional samples, weight 1 and 4',
    note: 'blue: weight 1; orange: weight 4, alike and pushed out',
  },
  'limited-interval': {
    guidance: diffusion.limitedInterval(diffusion.classifierFree({ weight: 4 }), diffusion.edmInterval(0.1, 0.8)),
    title: 'Conditional samples, weight 4 at some levels',
    note: 'blue: not guided; orange: guided where sigma / alpha is 0.1 to 0.8',
  },
  'auto-guidance': {
    guidance: diffusion.autoGuidance(blurred.denoise, { weight: 1.6 }),
    title: 'Conditional samples, guided by a blurred model',
    note: 'blue: not guided; orange: away from the blurred model, weight 1.6',
  },
}

/** Conditional samples with and without guidance; nothing for what acts inside a network. */
export async function guidanceFigures(method: Method): Promise<Drawn[]> {
  const scene = scenes[method.name]
  if (scene === undefined) return []
  const grid = planeGrid(40)
  const labels = tf.tensor1d(Array.from({ length: count }, (_, i) => (i % 2) * 3), 'int32') // prettier-ignore
  const start = diffusion.startNoise(diffusion.key(0), [count, 2], grid, { scale: 'unit' })
  const sampled = async (denoiser: diffusion.Denoiser<tf.Tensor>): Promise<Point[]> => {
    const samples = await diffusion.dpmSolverMultistep()(denoiser, start, grid, { condition: labels })
    const points = pointsOf(await samples.data())
    samples.dispose()
    return points
  }
  const [plain, guided] = [await sampled(ring.denoise), await sampled(scene.guidance(ring.denoise))]
  tf.dispose([labels, start])
  const { title, note } = scene
  const label = `${title}: two of eight Gaussians on a ring. Mean distance from the centre ${mean(plain)} without, ${mean(guided)} with guidance.`
  const dots = (points: readonly Point[], fill: string): Plot.Markish =>
    Plot.dot(points, { fill, r: 2.6, fillOpacity: 0.75, stroke: 'none', clip: true })
  return [{ name: 'samples', title, note, svg: drawPlane(label, [dots(plain, 'var(--method-0)'), dots(guided, 'var(--method-1)')]) }] // prettier-ignore
}

function mean(points: readonly Point[]): string {
  return (points.reduce((sum, [x, y]) => sum + Math.hypot(x, y), 0) / points.length).toPrecision(3)
}

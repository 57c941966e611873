import * as Plot from '@observablehq/plot'
import { gaussianRing, key, timeGrid, type Grid, useBackend, vpSchedule } from '@x/diffusion'
import { draw } from '../charts/draw.ts'

/** A point of the plane. */
export type Point = readonly [x: number, y: number]

/** Eight Gaussians on a ring, whose denoiser is exact: what is off in a drawing is the method's doing. */
export const ring = await useBackend('cpu').then(() => gaussianRing({ radius: 1.5, noise: 0.12 }))

/** Samples of it, to see where it lies. */
const cloud: readonly Point[] = pointsOf(await ring.sample(400, key(1)).data())

/** Levels from noise almost alone to clean. */
export function planeGrid(steps: number): Grid {
  return timeGrid(vpSchedule(), { steps, to: 0.003 })
}

/** The pairs of numbers of an array. */
export function pointsOf(values: ArrayLike<number>): Point[] {
  return Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i]!, values[2 * i + 1]!] as const)
}

/** Draws marks over the samples of the ring. */
export function drawPlane(label: string, marks: readonly Plot.Markish[]): string {
  const domain = [-2.6, 2.6]
  return draw(label, {
    height: 440,
    margin: 4,
    x: { domain, axis: null },
    y: { domain, axis: null },
    marks: [Plot.dot(cloud, { fill: 'currentColor', fillOpacity: 0.22, r: 1.6, stroke: 'none', clip: true }), ...marks],
  })
}

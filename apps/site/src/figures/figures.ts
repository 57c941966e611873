import type { Drawn } from '../charts/draw.ts'
import type { Method } from '../families.ts'
import { guidanceFigures } from './guided-samples.ts'
import { scheduleFigures } from './schedule-curves.ts'
import { trajectoryFigures } from './trajectories.ts'

/** What is drawn for the methods of a kind, by what they do when they are called. */
const kinds: Readonly<Record<string, (method: Method) => Drawn[] | Promise<Drawn[]>>> = {
  guidance: guidanceFigures,
  samplers: trajectoryFigures,
  schedules: scheduleFigures,
}

/** Drawings of a method at work, made while the site is built; none for kinds that have nothing to draw. */
export async function figuresOf(method: Method): Promise<Drawn[]> {
  return (await kinds[method.kind]?.(method)) ?? []
}

import * as diffusion from '@x/diffusion'
import { curvesChart } from '../charts/curves.ts'
import type { Drawn } from '../charts/draw.ts'
import type { Method } from '../families.ts'

const times = Array.from({ length: 121 }, (_, i) => i / 120)
const shown = 16

/** The schedules with their defaults, by the names of their folders. */
const schedules: Readonly<Record<string, diffusion.Schedule>> = {
  cosine: diffusion.cosineSchedule(),
  flow: diffusion.flowSchedule(),
  karras: diffusion.karrasSchedule(),
  'linear-log-snr': diffusion.linearLogSnrSchedule({ logSnrMin: -10, logSnrMax: 10 }),
  'log-normal': diffusion.logNormalSchedule(),
  sigmoid: diffusion.sigmoidSchedule(),
  ve: diffusion.veSchedule(),
  vp: diffusion.vpSchedule(),
}

/** The level over time, the other schedules behind it. */
export function scheduleFigures(method: Method): Drawn[] {
  if (!Object.hasOwn(schedules, method.name)) throw new RangeError(`${method.id}: expected a schedule to draw`)
  const lines = Object.entries(schedules).map(([name, schedule]) => {
    const points = times.map((t) => [t, schedule(t)] as const).filter(([, level]) => Math.abs(level) <= shown)
    return {
      label: name === method.name ? method.title : name,
      colour: 'var(--method-0)',
      dash: null,
      greyed: name !== method.name,
      runs: [{ steps: points.map(([t]) => t), values: points.map(([, level]) => level) }],
    }
  })
  const title = 'Level over time'
  return [
    {
      name: 'level',
      title,
      note: `logSNR from clean, at 0, to noise, at 1; the part within ±${shown}`,
      svg: curvesChart({ title, unit: 'logSNR', by: 'time', lines }),
    },
  ]
}

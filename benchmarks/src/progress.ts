import type { WriteStream } from 'node:tty'
import { describeRun, type PlannedRun } from './plan.ts'
import type { Result } from './result.ts'

/** Shows how far a sweep is. */
export interface Progress {
  start(run: PlannedRun): void
  update(run: PlannedRun, fraction: number, note: string): void
  finish(run: PlannedRun, status: Result['status'], detail?: string): void
  /** Clears what moves; lines that were written stay. */
  end(): void
}

function padded(value: number): string {
  return String(Math.floor(value)).padStart(2, '0')
}

/** A duration such as `1 h 05 min`, `3 min 20 s` or `8 s`. */
export function describeSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${padded((whole % 3600) / 60)} min`
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${padded(whole % 60)} s`
  return `${whole} s`
}

const barWidth = 24

/**
 * A bar on a terminal, one line for each finished run anywhere else.
 * @param total how many runs the sweep has to do
 */
export function showProgress(total: number, stream: NodeJS.WritableStream & Partial<WriteStream>): Progress {
  const begun = performance.now()
  const active = new Map<string, { run: PlannedRun; fraction: number; note: string; since: number }>()
  const moving = stream.isTTY === true
  let finished = 0
  let drawn = 0

  const clear = (): void => {
    if (moving) stream.write('\r\u001B[2K')
  }
  const draw = (always = false): void => {
    const now = performance.now()
    if (!moving || (!always && now - drawn < 100)) return
    drawn = now
    const done = finished + [...active.values()].reduce((sum, { fraction }) => sum + fraction, 0)
    const share = done / total
    const filled = Math.round(share * barWidth)
    const left = share > 0.01 ? `, about ${describeSeconds(((now - begun) / 1000) * (1 / share - 1))} left` : ''
    const current = [...active.values()].at(-1)
    const what = current === undefined ? '' : ` | ${describeRun(current.run.spec)} ${current.note}`
    const line = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${finished}/${total}${left}${what}`
    clear()
    stream.write(line.slice(0, (stream.columns ?? 80) - 1))
  }

  return {
    start(run) {
      active.set(run.key, { run, fraction: 0, note: '', since: performance.now() })
      draw(true)
    },
    update(run, fraction, note) {
      const entry = active.get(run.key)
      if (entry === undefined) return
      Object.assign(entry, { fraction: Math.min(1, Math.max(0, fraction)), note })
      draw()
    },
    finish(run, status, detail = '') {
      finished++
      const since = active.get(run.key)?.since ?? performance.now()
      active.delete(run.key)
      clear()
      const took = describeSeconds((performance.now() - since) / 1000)
      stream.write(`[${finished}/${total}] ${describeRun(run.spec)}: ${status} in ${took}${detail && `: ${detail}`}\n`)
      draw(true)
    },
    end: clear,
  }
}

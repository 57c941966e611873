import { nodeProcess } from './interrupt.ts'

/** How far training is. */
export interface ProgressEvent {
  /** steps done */
  readonly step: number
  readonly steps: number
  readonly loss: number
  /** in this run; 0 until it can be told */
  readonly stepsPerSecond: number
  /** seconds left at this rate */
  readonly secondsLeft: number
}

/** What progress is written to: a terminal, or something that keeps lines. */
export interface ProgressStream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** Receives every step, and the end. */
export interface ProgressReporter {
  step(event: ProgressEvent): void
  end(): void
}

/** Measures the rate of steps, over the last half minute or so. */
export class ProgressClock {
  readonly #now: () => number
  readonly #steps: number
  #marks: { time: number; step: number }[]

  /** @param now milliseconds */
  constructor(steps: number, first: number, now: () => number = () => performance.now()) {
    this.#now = now
    this.#steps = steps
    this.#marks = [{ time: now(), step: first }]
  }

  event(step: number, loss: number): ProgressEvent {
    const time = this.#now()
    // One mark a second is enough, and keeps the list short.
    if (time - this.#marks.at(-1)!.time >= 1000) this.#marks = [...this.#marks.slice(-WINDOW_SECONDS), { time, step }]
    const since = this.#marks[0]!.time === time ? undefined : this.#marks[0]!
    const stepsPerSecond = since ? ((step - since.step) * 1000) / (time - since.time) : 0
    const secondsLeft = stepsPerSecond > 0 ? (this.#steps - step) / stepsPerSecond : Infinity
    return { step, steps: this.#steps, loss, stepsPerSecond, secondsLeft }
  }
}

const WINDOW_SECONDS = 30
const REDRAW_MS = 100
const LINE_MS = 10_000

/**
 * Chooses how progress is shown: a bar on a terminal, lines elsewhere, nothing in browsers.
 * @param progress a function takes every event itself
 */
export function progressReporter(
  progress: 'auto' | 'silent' | ((event: ProgressEvent) => void),
  stream: ProgressStream | undefined = nodeProcess()?.stderr,
  now: () => number = () => performance.now(),
): ProgressReporter {
  if (typeof progress === 'function') return { step: progress, end: () => {} }
  if (progress === 'silent' || !stream) return { step: () => {}, end: () => {} }
  return stream.isTTY ? bar(stream, now) : lines(stream, now)
}

function bar(stream: ProgressStream, now: () => number): ProgressReporter {
  let drawn = -Infinity
  let last: ProgressEvent | undefined
  const draw = (event: ProgressEvent): void => {
    const text = describe(event)
    const width = Math.max(0, Math.min(40, (stream.columns ?? 80) - text.length - 4))
    const filled = Math.round((width * event.step) / event.steps)
    const gauge = width > 0 ? `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ` : ''
    stream.write(`\r\u001B[K${gauge}${text}`)
  }
  return {
    step(event) {
      last = event
      if (now() - drawn < REDRAW_MS) return
      drawn = now()
      draw(event)
    },
    end() {
      if (!last) return
      draw(last)
      stream.write('\n')
    },
  }
}

function lines(stream: ProgressStream, now: () => number): ProgressReporter {
  let written = -Infinity
  let last: ProgressEvent | undefined
  let lastWritten: ProgressEvent | undefined
  const write = (event: ProgressEvent): void => {
    written = now()
    lastWritten = event
    stream.write(`${describe(event)}\n`)
  }
  return {
    step(event) {
      last = event
      if (now() - written >= LINE_MS) write(event)
    },
    end() {
      if (last && last !== lastWritten) write(last)
    },
  }
}

function describe({ step, steps, loss, stepsPerSecond, secondsLeft }: ProgressEvent): string {
  const rate = stepsPerSecond === 0 ? '' : ` ${stepsPerSecond.toPrecision(3)} steps/s`
  const left = Number.isFinite(secondsLeft) && step < steps ? ` ${duration(secondsLeft)} left` : ''
  return `step ${step}/${steps} loss ${loss.toPrecision(5)}${rate}${left}`
}

/** Seconds as `1:02:03` or `2:03`. */
function duration(seconds: number): string {
  const whole = Math.ceil(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const tail = String(whole % 60).padStart(2, '0')
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`
}

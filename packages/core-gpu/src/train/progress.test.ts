import { describe, expect, it } from 'vitest'
import { ProgressClock, progressReporter } from './progress.ts'

/** A stream that remembers, and a clock that is set by hand. */
function stage(isTTY: boolean): {
  written: string[]
  stream: { isTTY: boolean; columns: number; write: (t: string) => void }
  time: number
} {
  const written: string[] = []
  return { written, stream: { isTTY, columns: 80, write: (text) => void written.push(text) }, time: 0 }
}

describe('ProgressClock', () => {
  it('measures the rate of this run, and what is left', () => {
    let time = 0
    const clock = new ProgressClock(100, 10, () => time)
    expect(clock.event(10, 1)).toEqual({ step: 10, steps: 100, loss: 1, stepsPerSecond: 0, secondsLeft: Infinity })
    time = 500
    expect(clock.event(15, 1)).toMatchObject({ stepsPerSecond: 10, secondsLeft: 8.5 })
  })

  it('follows a change of pace', () => {
    let time = 0
    const clock = new ProgressClock(1e6, 0, () => time)
    let step = 0
    for (; time < 100_000; time += 1000) clock.event((step += 1), 1)
    for (; time < 200_000; time += 1000) clock.event((step += 50), 1)
    expect(clock.event(step, 1).stepsPerSecond).toBeCloseTo(50, -1)
  })
})

describe('progressReporter', () => {
  it('draws a bar on a terminal, not more often than ten times a second', () => {
    const scene = stage(true)
    const reporter = progressReporter('auto', scene.stream, () => scene.time)
    const clock = new ProgressClock(200, 0, () => scene.time)
    for (let step = 1; step <= 100; step++) {
      scene.time += 20
      reporter.step(clock.event(step, 0.123456))
    }
    expect(scene.written).toHaveLength(20)
    const last = scene.written.at(-1)!
    expect(last.slice(0, 4)).toBe('\r\u001B[K')
    expect(last.slice(4)).toMatch(/^\[#+\.+\] step 96\/200 loss 0\.12346 50\.0 steps\/s 0:03 left$/)
    for (const text of scene.written) expect(text.length).toBeLessThanOrEqual(80 + 4)
    reporter.end()
    expect(scene.written.at(-2)).toContain('step 100/200')
    expect(scene.written.at(-1)).toBe('\n')
  })

  it('writes lines elsewhere: the first, every ten seconds, the last', () => {
    const scene = stage(false)
    const reporter = progressReporter('auto', scene.stream, () => scene.time)
    const clock = new ProgressClock(7200, 0, () => scene.time)
    for (let step = 1; step <= 25; step++) {
      scene.time += 1000
      reporter.step(clock.event(step, 2))
    }
    reporter.end()
    expect(scene.written).toEqual([
      'step 1/7200 loss 2.0000 1.00 steps/s 1:59:59 left\n',
      'step 11/7200 loss 2.0000 1.00 steps/s 1:59:49 left\n',
      'step 21/7200 loss 2.0000 1.00 steps/s 1:59:39 left\n',
      'step 25/7200 loss 2.0000 1.00 steps/s 1:59:35 left\n',
    ])
  })

  it('says nothing twice at the end, and nothing when there was nothing', () => {
    const scene = stage(false)
    const idle = progressReporter('auto', scene.stream, () => scene.time)
    idle.end()
    expect(scene.written).toEqual([])
    const once = progressReporter('auto', scene.stream, () => scene.time)
    once.step({ step: 1, steps: 1, loss: 2, stepsPerSecond: 0, secondsLeft: Infinity })
    once.end()
    expect(scene.written).toEqual(['step 1/1 loss 2.0000\n'])
  })

  it('is silent when told to, and where there is no stream', () => {
    const scene = stage(true)
    const event = { step: 1, steps: 2, loss: 1, stepsPerSecond: 0, secondsLeft: Infinity }
    progressReporter('silent', scene.stream).step(event)
    expect(scene.written).toEqual([])
    const events: unknown[] = []
    progressReporter((e) => void events.push(e), scene.stream).step(event)
    expect([scene.written, events]).toEqual([[], [event]])
  })
})

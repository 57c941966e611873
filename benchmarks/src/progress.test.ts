import { describe, expect, it } from 'vitest'
import type { PlannedRun } from './plan.ts'
import { exampleResult } from './example-result.fixture.ts'
import { describeSeconds, showProgress } from './progress.ts'

const run = (seed: number): PlannedRun => {
  const { run: spec, key } = exampleResult({ seed })
  return { spec, key, timing: false }
}

function stream(isTTY: boolean): { text: () => string; stream: Parameters<typeof showProgress>[1] } {
  let text = ''
  const write = (part: string): boolean => {
    text += part
    return true
  }
  return { text: () => text, stream: { write, isTTY, columns: 60 } as unknown as Parameters<typeof showProgress>[1] }
}

describe('showProgress', () => {
  it('writes one line for each run where there is no terminal', () => {
    const { text, stream: to } = stream(false)
    const progress = showProgress(2, to)
    for (const seed of [0, 1]) progress.start(run(seed))
    progress.update(run(0), 0.5, 'loss 1')
    progress.finish(run(0), 'ok')
    progress.finish(run(1), 'failed', 'it broke')
    progress.end()
    expect(text()).toBe(
      '[1/2] test/example a seed 0 on none: ok in 0 s\n[2/2] test/example a seed 1 on none: failed in 0 s: it broke\n',
    )
  })

  it('moves a bar over the whole sweep on a terminal, within its width', () => {
    const { text, stream: to } = stream(true)
    const progress = showProgress(2, to)
    progress.start(run(0))
    progress.finish(run(0), 'ok')
    progress.end()
    const drawn = text().split('\r\u001B[2K')
    expect(drawn).toContain('[1/2] test/example a seed 0 on none: ok in 0 s\n')
    expect(drawn.some((line) => line.startsWith(`${'█'.repeat(12)}${'░'.repeat(12)} 1/2`))).toBe(true)
    expect(Math.max(...drawn.filter((line) => !line.endsWith('\n')).map(({ length }) => length))).toBeLessThan(60)
    expect(text().endsWith('\r\u001B[2K')).toBe(true)
  })
})

describe('describeSeconds', () => {
  it.each([
    [0.4, '0 s'],
    [59.4, '59 s'],
    [59.6, '1 min 00 s'],
    [200, '3 min 20 s'],
    [3900, '1 h 05 min'],
  ])('%d', (seconds, text) => expect(describeSeconds(seconds)).toBe(text))
})

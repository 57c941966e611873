import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'

/** A process that handles its first Ctrl-C, says so, and lives on for as long as the test may take. */
function start(release: boolean): ChildProcess {
  const module = new URL('./interrupt.ts', import.meta.url).href
  const script = `
    import { onFirstInterrupt } from ${JSON.stringify(module)}
    const release = onFirstInterrupt(() => console.log('stopping'))
    if (${release}) release()
    setTimeout(() => {}, 30_000)
    console.log('ready')`
  return spawn(process.execPath, ['--experimental-strip-types', '--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

async function line(child: ChildProcess): Promise<string> {
  const [text] = (await once(child.stdout!, 'data')) as [Buffer]
  return text.toString().trim()
}

describe('onFirstInterrupt', () => {
  it('takes the first Ctrl-C and leaves the second to end the process', async () => {
    const child = start(false)
    const exit = once(child, 'exit')
    expect(await line(child)).toBe('ready')
    child.kill('SIGINT')
    expect(await line(child)).toBe('stopping')
    child.kill('SIGINT')
    expect(await exit).toEqual([null, 'SIGINT'])
  })

  it('is out of the way once released', async () => {
    const child = start(true)
    const exit = once(child, 'exit')
    expect(await line(child)).toBe('ready')
    child.kill('SIGINT')
    expect(await exit).toEqual([null, 'SIGINT'])
  })
})

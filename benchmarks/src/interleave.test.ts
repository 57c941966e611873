import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { interleave, type Rival } from './interleave.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivals-'))
  // Whoever speaks the protocol can compete; this one leaves marks and breaks where it is told.
  writeFileSync(
    join(folder, 'rival.mjs'),
    `import { appendFileSync } from 'node:fs'
     const [name, marks, breaks] = process.argv.slice(2)
     if (breaks === 'unfit') {
       console.log(JSON.stringify({ ready: { skipped: 'no such device' } }))
       process.exit()
     }
     const module = await import(${JSON.stringify(join(import.meta.dirname, 'interleave.ts'))})
     console.log('a library says hello')
     let round = 0
     await module.answerRounds({ name }, () => {
       appendFileSync(marks, name)
       if (++round === Number(breaks)) throw new Error('out of breath')
       return round
     }, { extra: () => (appendFileSync(marks, '+'), -round) })
     appendFileSync(marks, '.')`,
  )
})
afterAll(() => rmSync(folder, { recursive: true }))

const rival = (name: string, marks: string, breaks = ''): Rival => ({
  name,
  command: process.execPath,
  args: [join(folder, 'rival.mjs'), name, join(folder, marks), breaks],
})

describe('interleave', () => {
  it('lets rivals take turns and keeps every round', async () => {
    const rounds: number[] = []
    const rivals = [rival('a', 'turns'), rival('b', 'turns')]
    const { samples, descriptions } = await interleave(rivals, { rounds: 3, onRound: (round) => rounds.push(round) })
    expect(samples).toEqual({ a: [1, 2, 3], b: [1, 2, 3] })
    expect(descriptions).toEqual({ a: { name: 'a' }, b: { name: 'b' } })
    expect(rounds).toEqual([1, 2, 3])
    expect(readFileSync(join(folder, 'turns'), 'utf8').slice(0, 6)).toBe('ababab')
  })

  it('asks for more in every round, after rounds that do not count', async () => {
    const rivals = [{ ...rival('a', 'more'), also: ['extra'] }, rival('b', 'more')]
    const { samples } = await interleave(rivals, { rounds: 2, warmUpRounds: 1, startTogether: true })
    expect(samples).toEqual({ a: [2, 3], extra: [-2, -3], b: [2, 3] })
    expect(readFileSync(join(folder, 'more'), 'utf8').slice(0, 9)).toBe('a+ba+ba+b')
  })

  it('ends early once enough time has passed, but not before the rounds asked for', async () => {
    const enough = { rounds: 4, milliseconds: 0 }
    const { samples } = await interleave([rival('a', 'enough')], { rounds: 1000, enough })
    expect(samples).toEqual({ a: [1, 2, 3, 4] })
    const never = { rounds: 1, milliseconds: 1e6 }
    expect((await interleave([rival('a', 'never')], { rounds: 3, enough: never })).samples.a).toHaveLength(3)
  })

  it('leaves out who can not compete, with the reason', async () => {
    const { samples, descriptions } = await interleave([rival('a', 'unfit'), rival('b', 'unfit', 'unfit')], {
      rounds: 2,
    })
    expect(samples).toEqual({ a: [1, 2] })
    expect(descriptions.b).toEqual({ skipped: 'no such device' })
  })

  it('says which rival broke, and why', async () => {
    const broken = interleave([rival('a', 'breaks'), rival('b', 'breaks', '2')], { rounds: 5 })
    await expect(broken).rejects.toThrow(/b ended early: [^]*out of breath/)
    const together = interleave([rival('a', 'breaks'), rival('b', 'breaks', '1')], { rounds: 1, startTogether: true })
    await expect(together).rejects.toThrow(/b ended early: [^]*out of breath/)
    const absent = { name: 'c', command: join(folder, 'no-such-program'), args: [] }
    await expect(interleave([absent], { rounds: 1 })).rejects.toThrow(/c ended early: .*ENOENT/)
  })

  it('stops when told', async () => {
    const stop = new AbortController()
    const stopped = interleave([rival('a', 'stops')], {
      rounds: 1000,
      signal: stop.signal,
      onRound: (round) => round === 2 && stop.abort(new Error('enough')),
    })
    await expect(stopped).rejects.toThrow('enough')
    expect(readFileSync(join(folder, 'stops'), 'utf8').replaceAll('.', '')).toBe('aa')
  })
})

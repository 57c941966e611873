import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { exampleResult, failedResult } from './example-result.fixture.ts'
import type { Result } from './result.ts'
import { findResult, isFinished, readResult, resultFile, resultFiles, writeAtomically, writeResult } from './store.ts'

let folder = ''
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'store-'))))
afterEach(() => rmSync(folder, { recursive: true }))

describe('the store', () => {
  it('gives back what it was given, under the run and the start of its key', () => {
    const result = exampleResult({ task: 'vq/digits', method: 'simvq', seed: 2 })
    const file = writeResult(folder, result)
    expect(file).toBe(join(folder, 'vq', 'digits', `simvq-s2-${result.key.slice(0, 8)}.json`))
    expect(readResult(file)).toEqual(result)
    expect(findResult(folder, result.run, result.key)).toEqual(result)
    expect(resultFiles(folder)).toEqual([file])
  })

  it('has nothing for another key', () => {
    const result = exampleResult()
    writeResult(folder, result)
    expect(findResult(folder, result.run, `0${result.key.slice(1)}`)).toBeUndefined()
    expect(findResult(folder, result.run, `${result.key.slice(0, 8)}00000000`)).toBeUndefined()
  })

  it('counts ok and skipped as finished, failed and nothing as not', () => {
    const { format, key, run, environment, startedAt, seconds } = exampleResult()
    const skipped: Result = { format, key, run, environment, startedAt, seconds, status: 'skipped', reason: 'none' }
    expect([exampleResult(), skipped, failedResult(), undefined].map(isFinished)).toEqual([true, true, false, false])
  })

  const broken: [string, (result: Record<string, unknown>) => void][] = [
    ['another format', (result) => (result.format = 2)],
    ['no key', (result) => delete result.key],
    ['no samples', (result) => (result.metrics = { value: { title: '', unit: '', better: 'higher', samples: [] } })],
    ['NaN', (result) => (result.metrics = { value: { title: '', unit: '', better: 'higher', samples: [Number.NaN] } })],
    ['an unknown status', (result) => (result.status = 'fine')],
    ['a failure without error', (result) => (result.status = 'failed')],
  ]
  it.each(broken)('refuses a result with %s, and leaves nothing', (_, damage) => {
    const result = exampleResult() as unknown as Record<string, unknown>
    damage(result)
    const sound = exampleResult()
    const file = resultFile(folder, sound.run, sound.key)
    expect(() => writeResult(folder, result as unknown as Result)).toThrow(TypeError)
    expect(findResult(folder, sound.run, sound.key)).toBeUndefined()
    writeAtomically(file, JSON.stringify(result))
    expect(() => readResult(file)).toThrow(TypeError)
    expect(findResult(folder, sound.run, sound.key)).toBeUndefined()
  })

  it('names the file that is not JSON', () => {
    const file = join(folder, 'half.json')
    writeFileSync(file, '{"format": 1, "ke')
    expect(() => readResult(file)).toThrow(/half\.json: not JSON/)
  })

  it('keeps the old content when writing fails, and no rest', () => {
    const file = join(folder, 'deep', 'a.txt')
    writeAtomically(file, 'old')
    expect(() => writeAtomically(file, 5 as unknown as string)).toThrow()
    expect(readFileSync(file, 'utf8')).toBe('old')
    expect(readdirSync(dirname(file))).toEqual(['a.txt'])
  })
})

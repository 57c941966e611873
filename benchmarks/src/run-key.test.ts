import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { idOfMachine, thisMachine } from './environment.ts'
import { canonicalJson, runKey, specKey, taskVersion } from './run-key.ts'
import type { RunSpec } from './result.ts'

const spec: RunSpec = {
  task: 'vq/digits',
  family: 'vq',
  method: 'vq',
  params: { codebookSize: 512, levels: [8, 8] },
  seed: 1,
  backend: 'wasm',
  quick: false,
  version: 'abc',
}

describe('runKey', () => {
  const changes: Partial<RunSpec>[] = [
    { task: 'vq/other' },
    { method: 'simvq' },
    { params: { codebookSize: 513, levels: [8, 8] } },
    { params: { codebookSize: 512, levels: [8, 9] } },
    { params: { codebookSize: 512 } },
    { params: { codebookSize: '512', levels: [8, 8] } },
    { seed: 2 },
    { backend: 'cpu' },
    { quick: true },
    { version: 'abd' },
  ]

  it('differs with everything that was run, and with the machine', () => {
    const keys = [...changes.map((change) => runKey({ ...spec, ...change }, 'm')), runKey(spec, 'm'), runKey(spec, 'n')]
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('is the same however the spec was written down', () => {
    const params = { levels: [8, 8], codebookSize: 512 }
    const reordered = Object.fromEntries(Object.entries({ ...spec, params }).toReversed()) as unknown as RunSpec
    expect(runKey(reordered, 'm')).toBe(runKey(spec, 'm'))
    expect(runKey(structuredClone(spec), 'm')).toBe(runKey(spec, 'm'))
  })

  it('specKey leaves the machine out', () => {
    expect(specKey(spec)).toBe(specKey(structuredClone(spec)))
    expect(specKey(spec)).not.toBe(runKey(spec, 'm'))
  })

  it('canonical JSON tells nested orders of lists but not of names', () => {
    expect(canonicalJson({ b: [1, 2], a: { d: 1, c: null } })).toBe('{"a":{"c":null,"d":1},"b":[1,2]}')
    expect(canonicalJson([1, 2])).not.toBe(canonicalJson([2, 1]))
  })
})

describe('taskVersion', () => {
  let root = ''
  const version = (...sources: string[]): string => taskVersion({ id: 'a/b', sources, backends: ['wasm'] }, root)
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'version-'))
    mkdirSync(join(root, 'src', 'deep'), { recursive: true })
    writeFileSync(join(root, 'src', 'a.ts'), 'one')
    writeFileSync(join(root, 'src', 'deep', 'b.ts'), 'two')
  })
  afterEach(() => rmSync(root, { recursive: true }))

  it('changes with content, with names and with new files', () => {
    const first = version('src')
    expect(version('src')).toBe(first)
    writeFileSync(join(root, 'src', 'deep', 'b.ts'), 'owt')
    const second = version('src')
    writeFileSync(join(root, 'src', 'c.ts'), '')
    const third = version('src')
    expect(new Set([first, second, third]).size).toBe(3)
  })

  it('changes with kernels of WebGPU where the task is measured on it', () => {
    const both = (): string[] =>
      ['wasm', 'webgpu'].map((backend) => taskVersion({ id: 'a/b', sources: ['src'], backends: [backend] }, root))
    const before = both()
    for (const name of ['webgpu.ts', 'install-webgpu.ts', 'webgpu-norm.ts']) {
      writeFileSync(join(root, 'src', 'deep', name), 'kernel')
      const after = both()
      expect(after[0]).toBe(before[0])
      expect(after[1]).not.toBe(before[1])
      before[1] = after[1]!
    }
  })

  it('does not change with tests, prose, generated files, other folders or the order of sources', () => {
    const first = version('src/a.ts', 'src/deep')
    for (const name of ['deep/b.test.ts', 'deep/b.cases.ts', 'deep/notes.md', 'deep/pack.gen.ts', 'c.ts']) {
      writeFileSync(join(root, 'src', name), 'x')
    }
    expect(version('src/deep', 'src/a.ts')).toBe(first)
  })

  it('refuses a source that is not there', () => {
    expect(() => version('src/none.ts')).toThrow(/src\/none\.ts/)
  })
})

describe('the machine', () => {
  it('keeps its id, which differs with its specification', () => {
    const machine = thisMachine()
    expect(idOfMachine(thisMachine())).toBe(idOfMachine(machine))
    expect(idOfMachine({ ...machine, cores: machine.cores + 1 })).not.toBe(idOfMachine(machine))
  })
})

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { peerScript } from '../../peers/set-up-peer.ts'
import { kernelTasks } from './kernels.ts'
import { operationCases } from './operations.cases.ts'
import { loadOperation } from './operations.ts'

operationCases('wasm')

describe('kernel tasks', () => {
  it('cover other backends with some of their forms', () => {
    for (const task of kernelTasks) {
      const covered = (backend: string): boolean[] =>
        Object.entries(task.methods).flatMap(([method, all]) =>
          all.map((params) => task.covers?.({ method, params, backend }) ?? true),
        )
      expect(covered('wasm').every(Boolean)).toBe(true)
      for (const backend of task.backends) expect(covered(backend)).toContain(true)
    }
  })

  it('have an operation of the same name in PyTorch', () => {
    const listed = readFileSync(peerScript('torch'), 'utf8').match(/^operations = \{([^}]*)\}/m)?.[1] ?? ''
    const names = [...listed.matchAll(/"([\w-]+)":/g)].map(([, name]) => `kernels/${name}`)
    expect(names.sort()).toEqual(kernelTasks.map(({ id }) => id).sort())
  })

  it('refuse an unknown operation', async () => {
    await expect(loadOperation('matmull')).rejects.toThrow(/operation: unknown "matmull"; known: matmul/)
  })
})

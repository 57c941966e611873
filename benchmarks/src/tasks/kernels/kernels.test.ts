import { readFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { peerScript } from '../../peers/set-up-peer.ts'
import { describeParams } from '../../plan.ts'
import { sizeOf } from './define-kernel-task.ts'
import { kernelTasks } from './kernels.ts'
import { type Draw, loadOperation } from './operations.ts'

const cases = kernelTasks.flatMap((task) =>
  Object.entries(task.methods).flatMap(([form, all]) =>
    all.map((params) => ({ task, form, params, title: `${task.id} ${form} ${describeParams(params)}` })),
  ),
)
const draw: Draw = (...shape) => tf.randomUniform(shape, -1, 1)

describe.each(['own', 'stock'] as const)('operations with %s kernels', (kernels) => {
  beforeAll(async () => void (await useBackend('wasm', { kernels, threads: 1 })))

  it.each(cases)('$title: a call leaves only what it returns', async ({ task, form, params }) => {
    const prepare = await loadOperation(task.id.replace('kernels/', ''))
    const small = Object.fromEntries(Object.entries(sizeOf(params)).map(([name, value]) => [name, Math.min(value, 8)]))
    const call = prepare(form, small, draw)
    const once = async (): Promise<number> => {
      const made = [await call()].flat()
      const before = tf.memory().numTensors
      for (const tensor of made) {
        expect((await tensor.data()).every(Number.isFinite)).toBe(true)
        tensor.dispose()
      }
      expect(before - tf.memory().numTensors).toBe(made.length)
      return tf.memory().numTensors
    }
    // State such as an optimizer's moments comes with the first call.
    const first = await once()
    expect(await once()).toBe(first)
  })
})

describe('kernel tasks', () => {
  it('cover other backends with few of their forms', () => {
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

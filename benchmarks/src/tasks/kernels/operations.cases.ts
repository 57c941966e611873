import * as tf from '@tensorflow/tfjs-core'
import { type BackendName, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { describeParams } from '../../plan.ts'
import { sizeOf } from './define-kernel-task.ts'
import { kernelTasks } from './kernels.ts'
import { type Draw, loadOperation } from './operations.ts'

const draw: Draw = (...shape) => tf.randomUniform(shape, -1, 1)

/** Calls each operation that is measured on a backend, at a small size, with own kernels and stock ones. */
export function operationCases(backend: BackendName): void {
  const cases = kernelTasks.flatMap((task) =>
    Object.entries(task.methods).flatMap(([form, all]) =>
      all
        .filter((params) => task.backends.includes(backend) && task.covers?.({ method: form, params, backend }))
        .map((params) => ({ task, form, params, title: `${task.id} ${form} ${describeParams(params)}` })),
    ),
  )

  describe.each(['own', 'stock'] as const)('operations with %s kernels', (kernels) => {
    beforeAll(async () => void (await useBackend(backend, { kernels, threads: 1 })))

    it.each(cases)('$title: a call leaves only what it returns', async ({ task, form, params }) => {
      const prepare = await loadOperation(task.id.replace('kernels/', ''))
      const small = Object.fromEntries(
        Object.entries(sizeOf(params)).map(([name, value]) => [name, Math.min(value, 8)]),
      )
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
}

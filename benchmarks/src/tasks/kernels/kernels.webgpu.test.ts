import * as tf from '@tensorflow/tfjs-core'
import { type BackendError, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TaskContext } from '../../define-task.ts'
import { exampleResult } from '../../example-result.fixture.ts'
import { interleave } from '../../interleave.ts'
import { graphicsCard } from './graphics-card.ts'
import { kernelTasks } from './kernels.ts'
import { operationCases } from './operations.cases.ts'

const { adapter, absent } = await useBackend('webgpu').then(
  (device) => ({ adapter: String(device.describe().adapter), absent: undefined }),
  (error: BackendError) => ({ adapter: '', absent: error.attempts[0]!.reason }),
)
const software = /swiftshader|llvmpipe|lavapipe|software/i.test(adapter)

describe.skipIf(absent !== undefined)(`kernels measured on webgpu (${absent ?? adapter})`, () => {
  operationCases('webgpu')

  describe('a graphics card', () => {
    beforeAll(() => useBackend('webgpu'))

    it('counts the memory that a call takes, freed or not', async () => {
      const card = graphicsCard()
      const x = tf.ones([64, 1024])
      card.upload(x)
      const bytes = x.size * 4
      const rise = await card.peakDuring(async () => {
        const y = tf.neg(x)
        const z = tf.exp(y)
        tf.dispose([y, z])
      })
      expect(rise).toBeGreaterThanOrEqual(2 * bytes)
      expect(rise).toBeLessThan(2.1 * bytes)
      x.dispose()
    })

    it('uploads once, and is not charged for it again', async () => {
      const card = graphicsCard()
      const x = tf.ones([32, 999])
      card.upload(x)
      expect(await card.peakDuring(async () => card.upload(x))).toBe(0)
      x.dispose()
    })

    it('copies', async () => {
      expect(await graphicsCard().copy(4096, 3)).toBeGreaterThan(0)
    })
  })

  it('a rival answers rounds, with the card as its measure', async () => {
    const assignment = { operation: 'adamw', method: 'step', params: { tensors: 2, elements: 64 }, backend: 'webgpu' }
    const told = { ...assignment, kernels: 'own', threads: 1, roundMilliseconds: 1 }
    const rival = {
      name: 'own',
      command: process.execPath,
      args: [`${import.meta.dirname}/rival.ts`, JSON.stringify(told)],
    }
    const { samples, descriptions } = await interleave([rival], { rounds: 2 })
    expect(samples.own!.every((ms) => ms > 0)).toBe(true)
    expect(descriptions.own).toMatchObject({ backend: 'webgpu', adapter })
    // Two parameters' moments at the least: host memory would rise by megabytes.
    expect(descriptions.own!.memory).toBeGreaterThanOrEqual(2 * 2 * 64 * 4)
    expect(descriptions.own!.memory).toBeLessThan(2 ** 20)
  })

  it.runIf(software)('a run on a software adapter is skipped', async () => {
    const task = kernelTasks.find(({ id }) => id === 'kernels/softmax')!
    const [params] = task.methods.forward!
    const { run } = exampleResult({ task: task.id, method: 'forward', params: params!, backend: 'webgpu' })
    const context: TaskContext = {
      run,
      signal: new AbortController().signal,
      progress: () => {},
      artifact: () => Promise.reject(new Error('no pictures here')),
    }
    await expect(task.run(context)).rejects.toMatchObject({
      name: 'SkippedError',
      message: expect.stringContaining('computes on the processor'),
    })
  })
})

import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import { describe, expect, it } from 'vitest'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { measureOverhead } from './measure-overhead.ts'
import { overhead } from './overhead.ts'
import { SmallUNet } from './unet.ts'

function context(method: string, signal: AbortSignal): TaskContext {
  const run = { task: overhead.id, family: 'diffusion', method, params: {}, seed: 0, backend: 'wasm' }
  return {
    run: { ...run, quick: true, version: 'v' },
    signal,
    progress() {},
    artifact: () => Promise.reject(new Error('no picture is drawn')),
  }
}

const measure = (method: string): Promise<TaskOutcome> => measureOverhead(context(method, new AbortController().signal))

describe('the small U-Net', () => {
  it('keeps the shape, minds the level and both ends of its skips, and leaves nothing behind', async () => {
    await useBackend('wasm', { threads: 1 })
    const network = new SmallUNet(key(1))
    const x = key(2).normal([2, 32, 32, 3])
    const y = network.forward(x, -1)
    expect(y.shape).toEqual(x.shape)
    const other = network.forward(x, 2)
    expect(tf.tidy(() => tf.max(tf.abs(tf.sub(y, other))).dataSync()[0])).toBeGreaterThan(1e-4)
    // A single pixel reaches all others by attention, and every parameter takes part.
    const gradients = tf.tidy(() => {
      const { grads } = tf.variableGrads(() => tf.sum(tf.slice(network.forward(x, 0), [0, 0, 0, 0], [1, 1, 1, 1])))
      return Object.values(grads).map((gradient) => tf.max(tf.abs(gradient)).dataSync()[0]!)
    })
    expect(gradients).toHaveLength(Object.keys(network.parameters()).length)
    for (const gradient of gradients) expect(gradient).toBeGreaterThan(0)
    expect(await countLeaks(() => network.forward(x, 0))).toBe(0)
    tf.dispose([x, y, other])
    network.dispose()
  })
})

describe('diffusion/overhead', () => {
  it('measures all that it describes, in turns', async () => {
    const { metrics, facts } = await measure('heun')
    expect(Object.keys(metrics).sort()).toEqual(Object.keys(overhead.metrics).sort())
    for (const samples of Object.values(metrics)) {
      expect(samples).toHaveLength(Number(facts!.rounds))
      for (const value of samples) expect(value).toBeGreaterThan(0)
    }
    expect(facts!.calls).toBe(2 * Number(facts!.steps))
    expect(metrics.share).toEqual(metrics.sampler!.map((ms, round) => ms / metrics.network![round]!))
  })

  it('refuses a method it does not know, and stops when told', async () => {
    await expect(measure('none')).rejects.toThrow(/^method: unknown "none"/)
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(measureOverhead(context('ddim', stop.signal))).rejects.toThrow('enough')
  })
})

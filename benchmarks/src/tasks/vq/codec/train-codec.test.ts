import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import type { RunSpec } from '../../../result.ts'
import { makeQuantizer } from './autoencoder.ts'
import { codec } from './codec.ts'
import { drawFrames } from './signals.ts'
import { trainCodec } from './train-codec.ts'

beforeAll(async () => {
  await useBackend('wasm')
})

function context(method: string, params: RunSpec['params'], signal: AbortSignal): TaskContext {
  const run = { task: codec.id, family: 'vq', method, params, seed: 0, backend: 'wasm', quick: true, version: 'v' }
  return { run, signal, progress() {}, artifact: () => Promise.reject(new Error('no picture is drawn')) }
}

const train = (method: string, params: RunSpec['params']): Promise<TaskOutcome> =>
  trainCodec(context(method, params, new AbortController().signal))

describe('drawFrames', () => {
  it('draws the same signals for the same key, others for another', () => {
    const [a, b, c] = [drawFrames(key(1), 3), drawFrames(key(1), 3), drawFrames(key(2), 3)]
    expect(a.shape).toEqual([96, 64])
    expect(a.dataSync()).toEqual(b.dataSync())
    expect(a.dataSync()).not.toEqual(c.dataSync())
    tf.dispose([a, b, c])
  })

  it('joins frames without a jump', () => {
    const values = tf.tidy(() => drawFrames(key(1), 1).dataSync())
    const steps = Array.from(values.subarray(1), (value, i) => Math.abs(value - values[i]!))
    // The fastest of four tones turns by 0.22 in a sample; one may start anywhere in its swing.
    expect(Math.max(...steps)).toBeLessThan(4 * 0.22 + 1)
    expect(Math.max(...values)).toBeGreaterThan(0.3)
  })
})

describe('vq/codec', () => {
  it.each(Object.keys(codec.methods))('takes 8 bits for each layer with %s', (method) => {
    for (const params of codec.methods[method]!) {
      const quantizer = makeQuantizer({ method, params }, key(0))
      expect(quantizer.codebooks * Math.log2(quantizer.codebookSize)).toBe(params.bits)
      quantizer.dispose()
    }
  })

  it('measures all that the task describes, the same for the same seed', async () => {
    const [first, second] = [await train('residual-vq', { bits: 16 }), await train('residual-vq', { bits: 16 })]
    expect(first.metrics).toEqual(second.metrics)
    expect(Object.keys(first.metrics).sort()).toEqual(Object.keys(codec.metrics).sort())
    expect(first.facts).toMatchObject({ layers: 2, codebookSize: 256, heldOutVectors: 16_384 })
    expect(first.metrics.entropy![0]).toBeLessThanOrEqual(16)
    expect(first.metrics.signalToNoise![0]).toBeGreaterThan(0)
  })

  it.each(['residual-simvq', 'residual-fsq', 'residual-lfq'])('trains with %s', async (method) => {
    const { values } = (await train(method, { ...codec.methods[method]![0], bits: 16 })).curves!.loss!
    expect(values.at(-1)!).toBeLessThan(values[0]!)
  })

  it('gains by further layers', async () => {
    const ratio = async (bits: number): Promise<number> =>
      (await train('residual-vq', { bits })).metrics.signalToNoise![0]!
    expect(await ratio(32)).toBeGreaterThan((await ratio(8)) + 1)
  })

  it('refuses methods and rates it does not know', async () => {
    await expect(train('none', { bits: 8 })).rejects.toThrow(/^method: unknown "none"/)
    await expect(train('residual-vq', { bits: 12 })).rejects.toThrow(/^bits: expected a multiple of 8, got 12/)
  })

  it('stops when told', async () => {
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(trainCodec(context('residual-vq', { bits: 8 }, stop.signal))).rejects.toThrow('enough')
  })
})

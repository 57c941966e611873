import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { decodeSafetensors } from '../checkpoint/safetensors.ts'
import { Linear } from '../nn/linear.ts'
import { Sgd } from '../optim/sgd.ts'
import { WeightEma } from '../optim/weight-ema.ts'
import { key } from '../random/key.ts'
import { type Batch, data, lossOf, makeRun, memoryStore, valuesOf } from './example-run.ts'
import type { ProgressEvent } from './progress.ts'
import { type StepReport, train, type TrainOptions } from './train.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'train-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe.each(['cpu', 'wasm'] as const)('train on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend)
  })

  it('learns, and reports every step', async () => {
    const reports: StepReport[] = []
    const events: ProgressEvent[] = []
    const { net, options } = makeRun({
      steps: 60,
      onStep: (report) => void reports.push(report),
      progress: (event) => void events.push(event),
    })
    const result = await train(net, options)
    expect(result).toMatchObject({ step: 60, reason: 'finished', resumedFrom: 0, last: reports.at(-1) })
    expect(reports.map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i))
    expect(events.map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
    expect(events[0]!.loss).toBe(reports[0]!.loss)
    const early = reports.slice(0, 10).reduce((sum, r) => sum + r.loss, 0)
    const late = reports.slice(-10).reduce((sum, r) => sum + r.loss, 0)
    expect(late).toBeLessThan(early / 2)
    for (const { loss, metrics, gradientNorm } of reports) {
      expect(metrics.worst! ** 2).toBeGreaterThanOrEqual(loss)
      expect(gradientNorm).toBeGreaterThan(0)
    }
  })

  it('ends in the same bits when stopped at any step and resumed', async () => {
    const whole = makeRun()
    const wholeEma = new WeightEma(whole.net, { decay: 0.9 })
    await train(whole.net, { ...whole.options, ema: wholeEma })
    const wanted = await valuesOf({ ...whole.net.state(), ...wholeEma.state() })
    for (const stop of [1, 4, 5, 11]) {
      const store = memoryStore()
      const checkpoint = { store, every: 4 }
      const controller = new AbortController()
      const first = makeRun({
        checkpoint,
        signal: controller.signal,
        onStep: ({ step }) => void (step + 1 === stop && controller.abort()),
      })
      const stopped = await train(first.net, { ...first.options, ema: new WeightEma(first.net, { decay: 0.9 }) })
      expect(stopped).toMatchObject({ step: stop, reason: 'aborted' })
      first.dispose()

      const second = makeRun({ checkpoint })
      const ema = new WeightEma(second.net, { decay: 0.9 })
      // What it starts from must not matter.
      tf.tidy(() => second.net.parameters()['0.weight']!.assign(tf.zeros([8, 3])))
      const finished = await train(second.net, { ...second.options, ema })
      expect(finished).toMatchObject({ step: 12, reason: 'finished', resumedFrom: stop })
      expect(await valuesOf({ ...second.net.state(), ...ema.state() })).toEqual(wanted)
      second.dispose()
    }
  })

  it('resumes after a crash from the last checkpoint, in a file', async () => {
    const path = join(folder, backend, 'net.safetensors')
    const whole = makeRun()
    await train(whole.net, whole.options)
    const crashing = makeRun({
      checkpoint: { path, every: 3 },
      onStep: ({ step }) => {
        if (step === 7) throw new Error('power cut')
      },
    })
    await expect(train(crashing.net, crashing.options)).rejects.toThrow('power cut')
    const second = makeRun({ checkpoint: { path, every: 3 } })
    expect(await train(second.net, second.options)).toMatchObject({ resumedFrom: 6, step: 12 })
    expect(await valuesOf(second.net.state())).toEqual(await valuesOf(whole.net.state()))
    // All done: nothing left to do, and nothing is done.
    const third = makeRun({ checkpoint: { path, every: 3 } })
    expect(await train(third.net, third.options)).toMatchObject({ resumedFrom: 12, step: 12, last: undefined })
  })

  it('keeps no tensor from step to step, nor afterwards', async () => {
    const counts = new Set<number>()
    const before = tf.memory().numTensors
    const run = makeRun({ onStep: ({ step }) => void (step > 0 && counts.add(tf.memory().numTensors)) })
    await train(run.net, run.options)
    expect(counts.size).toBe(1)
    run.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })
})

describe('train', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  it('clips gradients, and reports their norm before that', async () => {
    const run = makeRun({
      steps: 1,
      clip: 0.5,
      optimizer: new Sgd({ learningRate: 1 }),
      loss: () => tf.mul(tf.sum(run.net.parameters()['4.bias']!), 3) as tf.Scalar,
    })
    const bias = run.net.parameters()['4.bias']!
    const [before] = bias.dataSync()
    const { last } = await train(run.net, run.options)
    expect(last!.gradientNorm).toBe(3)
    expect(bias.dataSync()[0]! - before!).toBeCloseTo(-0.5, 5)
  })

  it('gives data and loss keys of their own, by the step alone', async () => {
    const words: number[] = []
    const run = makeRun({
      steps: 3,
      data: (context) => {
        words.push(...context.key.bits(2))
        return data(context)
      },
      loss: (batch, context) => {
        words.push(...context.key.bits(2))
        return lossOf(run.net)(batch, context)
      },
    })
    await train(run.net, { ...run.options, key: key(9) })
    expect(new Set(words).size).toBe(12)
    const [dataKey] = key(9).fold(2).split(2)
    expect(words.slice(8, 10)).toEqual(Array.from(dataKey!.bits(2)))
  })

  it('does nothing when it is aborted already', async () => {
    const store = memoryStore()
    const run = makeRun({ checkpoint: { store, every: 1 }, signal: AbortSignal.abort() })
    expect(await train(run.net, run.options)).toMatchObject({ step: 0, reason: 'aborted', last: undefined })
    expect(store.writes).toBe(0)
  })

  it('writes a checkpoint every so often, and one at the end', async () => {
    const store = memoryStore()
    const run = makeRun({ checkpoint: { store, every: 5 } })
    await train(run.net, run.options)
    expect(store.writes).toBe(3)
    expect(decodeSafetensors(store.bytes!).metadata).toEqual({ format: 'training-1', step: '12' })
  })

  it('ends at the first Ctrl-C like at an abort, and takes its handler away', async () => {
    const store = memoryStore()
    const during: number[] = []
    const run = makeRun({
      checkpoint: { store, every: 100 },
      onStep: ({ step }) => {
        during.push(process.listenerCount('SIGINT'))
        // `emit`, not `kill`: the test runner listens to real signals itself.
        if (step === 4) process.emit('SIGINT')
      },
    })
    const before = process.listenerCount('SIGINT')
    expect(await train(run.net, run.options)).toMatchObject({ step: 5, reason: 'aborted' })
    expect(during).toEqual([1, 1, 1, 1, 1].map((n) => n + before))
    expect(process.listenerCount('SIGINT')).toBe(before)
    expect(decodeSafetensors(store.bytes!).metadata.step).toBe('5')
  })

  it('hears what happens outside, though its steps wait for nothing', async () => {
    const controller = new AbortController()
    const run = makeRun({ steps: 1_000_000, signal: controller.signal })
    setTimeout(() => controller.abort(), 60)
    const { step, reason } = await train(run.net, run.options)
    expect(reason).toBe('aborted')
    expect(step).toBeGreaterThan(0)
  })

  it('leaves Ctrl-C alone without a checkpoint, or when told to', async () => {
    const during: number[] = []
    const onStep = (): void => void during.push(process.listenerCount('SIGINT'))
    const before = process.listenerCount('SIGINT')
    const [a, b] = [makeRun({ steps: 1, onStep }), makeRun({ steps: 1, onStep })]
    await train(a.net, a.options)
    await train(b.net, { ...b.options, checkpoint: { store: memoryStore(), every: 1 }, handleInterrupt: false })
    expect(during).toEqual([before, before])
  })

  it('cleans up after a loss that throws', async () => {
    const run = makeRun({
      loss: (batch, context) => {
        lossOf(run.net)(batch, context)
        throw new Error('no loss')
      },
    })
    const state = await valuesOf(run.net.state())
    const before = tf.memory().numTensors
    await expect(train(run.net, run.options)).rejects.toThrow('no loss')
    expect(tf.memory().numTensors).toBe(before)
    expect(await valuesOf(run.net.state())).toEqual(state)
  })

  it.each<[Partial<TrainOptions<Batch>>, RegExp]>([
    [{ steps: -1 }, /steps: expected a whole number >= 0, got -1/],
    [{ clip: 0 }, /max: expected a number > 0, got 0/],
    [{ checkpoint: { store: memoryStore(), every: 0 } }, /checkpoint.every: expected a whole number >= 1, got 0/],
    [{ checkpoint: { path: 3 as never, every: 1 } }, /checkpoint.path: expected a path, got 3/],
    [{ loss: () => tf.ones([2]) as never }, /loss: expected a scalar, got shape \[2\]/],
    [
      { loss: () => ({ loss: tf.scalar(1), metrics: { m: tf.ones([2]) as never } }) },
      /metrics.m: expected a scalar, got shape \[2\]/,
    ],
  ])('refuses bad options %#', async (change, message) => {
    const run = makeRun(change)
    await expect(train(run.net, run.options)).rejects.toThrow(message)
  })

  it('refuses a checkpoint that belongs to something else', async () => {
    const store = memoryStore()
    const run = makeRun({ checkpoint: { store, every: 5 } })
    await train(run.net, { ...run.options, ema: new WeightEma(run.net, { decay: 0.9 }) })
    await expect(train(run.net, run.options)).rejects.toThrow(
      /checkpoint: it holds averaged weights, but no ema was given/,
    )
    const other = new Linear(2, 1, { key: key(0) })
    await expect(train(other, run.options)).rejects.toThrow(/checkpoint|state: unknown entry "0.weight"/)
    store.bytes = new Uint8Array([1, 2, 3])
    await expect(train(run.net, run.options)).rejects.toThrow(/not a valid safetensors file/)
  })
})

import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { TaskContext } from '../../../define-task.ts'
import { loadDigits, pixelsOf } from '../digits/data.ts'
import { makeAutoencoder } from '../digits/train-autoencoder.ts'
import { agreement, type DigitsClassifier, loadClassifier, see } from './classifier.ts'
import { decodeCodes, encodeDigits } from './codes.ts'
import { generation } from './generation.ts'
import { trainGeneration } from './train-generation.ts'

let folder = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'generation-'))
  vi.stubEnv('BENCH_DIR', folder)
  await useBackend('wasm')
})
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

const stopped = AbortSignal.abort(new Error('enough'))
const run = { task: generation.id, family: 'vq', seed: 0, backend: 'wasm', quick: true, version: 'v' } as const
const spec = (method: string): TaskContext['run'] => ({ ...run, method, params: generation.methods[method]![0]! })

function context(
  method: string,
  options: Partial<TaskContext> = {},
): TaskContext & { readonly pictures: Uint8Array[] } {
  const pictures: Uint8Array[] = []
  return {
    run: spec(method),
    signal: new AbortController().signal,
    progress() {},
    async artifact(name, title, png, { private: hidden = false } = {}) {
      pictures.push(png)
      return { title, file: name, kind: 'image', private: hidden }
    },
    pictures,
    ...options,
  }
}

describe('the classifier', () => {
  const load = (signal: AbortSignal = new AbortController().signal): Promise<DigitsClassifier> =>
    loadClassifier(run, loadDigits().train, signal)

  it('tells digits that it has not seen, and is kept whole', async () => {
    const { heldOut } = loadDigits()
    const values = pixelsOf(
      heldOut,
      Int32Array.from(heldOut.labels, (_, i) => i),
    )
    const first = await load()
    const seen = await see(first, values)
    expect(seen.features).toHaveLength(heldOut.count * 64)
    expect(agreement(seen, heldOut.labels)).toBeGreaterThan(0.8)

    // A signal that ends training at once: this one was not trained.
    const kept = await load(stopped)
    expect((await see(kept, values)).features).toEqual(seen.features)

    const data = join(folder, 'data')
    const file = readdirSync(data).find((name) => name.startsWith('digits-classifier'))!
    truncateSync(join(data, file), 1000)
    await expect(load(stopped)).rejects.toThrow('enough')
    const again = await load()
    expect((await see(again, values)).features).toEqual(seen.features)
    for (const model of [first, kept, again]) model.dispose()
  })
})

describe('codes', () => {
  it.each(Object.keys(generation.methods))('of %s stand for what the autoencoder makes of digits', async (method) => {
    const { heldOut } = loadDigits()
    const few = { ...heldOut, count: 5 }
    const model = makeAutoencoder(spec(method))
    const before = tf.memory().numTensors
    const digits = await decodeCodes(model, await encodeDigits(model, few))
    expect(tf.memory().numTensors).toBe(before)
    const made = tf.tidy(() => {
      const x = tf.tensor2d(pixelsOf(heldOut, [0, 1, 2, 3, 4]), [5, 784])
      return model.forward(x, { training: false }).digits.dataSync()
    })
    expect(Math.max(...made.map((value, i) => Math.abs(value - digits[i]!)))).toBeLessThan(1e-5)
    model.dispose()
  })
})

describe('vq/generation', () => {
  it('measures all that the task describes, the same for the same seed, and keeps no tensor', async () => {
    const [first, second] = [context('fsq'), context('fsq')]
    const { metrics, curves, facts, artifacts } = await trainGeneration(first)
    const { numTensors } = tf.memory()
    expect((await trainGeneration(second)).metrics).toEqual(metrics)
    expect(tf.memory().numTensors).toBe(numTensors)
    expect(second.pictures).toEqual(first.pictures)

    expect(Object.keys(metrics).sort()).toEqual(Object.keys(generation.metrics).sort())
    expect(Object.values(metrics).flat().every(Number.isFinite)).toBe(true)
    expect(metrics.bitsPerImage![0]).toBeCloseTo(8 * metrics.bitsPerToken![0]!, 9)
    expect(metrics.share![0]).toBeCloseTo(metrics.bitsPerToken![0]! / 9, 9)
    expect(metrics.share![0]).toBeLessThan(1)
    // Samples come through the decoder too, and chance would be a tenth.
    expect(metrics.generationDistance![0]).toBeGreaterThan(metrics.reconstructionDistance![0]!)
    expect(metrics.agreement![0]).toBeGreaterThan(0.15)
    expect(facts!.distanceOfTrainDigits).toBeLessThan(metrics.reconstructionDistance![0]!)
    expect(facts!.realSeenAsTheirClass).toBeGreaterThan(0.8)
    const { values } = curves!.loss!
    expect(values.at(-1)!).toBeLessThan(values[0]!)

    expect(artifacts).toMatchObject([{ file: 'samples.png', private: true }])
    const { width, height } = PNG.sync.read(Buffer.from(first.pictures[0]!))
    expect([width, height]).toEqual([20 * 30 - 2, 10 * 30 - 2])
  }, 600_000)

  it('stops when told, before anything and in the middle', async () => {
    await expect(trainGeneration(context('vq', { signal: stopped }))).rejects.toThrow('enough')
    const stop = new AbortController()
    const progress = (_: number, note = ''): void => {
      if (note.startsWith('autoencoder')) stop.abort(new Error('enough of it'))
    }
    await expect(trainGeneration(context('vq', { signal: stop.signal, progress }))).rejects.toThrow('enough of it')
  })

  it('refuses methods it does not know', async () => {
    const unknown = { ...run, method: 'none', params: {} }
    await expect(trainGeneration(context('vq', { run: unknown }))).rejects.toThrow(/^method: unknown "none"/)
  })
})

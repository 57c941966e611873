import * as tf from '@tensorflow/tfjs-core'
import * as tfl from '@tensorflow/tfjs-layers'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { fsq } from '../methods/fsq/fsq.ts'
import { simvq } from '../methods/simvq/simvq.ts'
import { vq } from '../methods/vq/vq.ts'
import { vqEma } from '../methods/vq-ema/vq-ema.ts'
import { quantizerLayer, type QuantizerLayer } from './quantizer-layer.ts'

/** An autoencoder of 6 numbers with tokens of 4 in between. */
function autoencoder(layer: QuantizerLayer): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 8, inputShape: [6], kernelInitializer: tfl.initializers.glorotUniform({ seed: 1 }) }),
      tfl.layers.reshape({ targetShape: [2, 4] }),
      layer,
      tfl.layers.flatten(),
      tfl.layers.dense({ units: 6, kernelInitializer: tfl.initializers.glorotUniform({ seed: 2 }) }),
    ],
  })
}

async function fit(model: tfl.LayersModel, epochs: number): Promise<number[]> {
  model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' })
  const x = key(3).normal([64, 6])
  const { history } = await model.fit(x, x, { epochs, batchSize: 32, shuffle: false, verbose: 0 })
  x.dispose()
  return history['loss'] as number[]
}

const layers: [string, () => QuantizerLayer][] = [
  ['vq', () => quantizerLayer(vq, { codebookSize: 32 }, { name: 'codes' })],
  ['vq with k-means start', () => quantizerLayer(vq, { codebookSize: 8, kMeans: { iterations: 3 } })],
  ['vq-ema', () => quantizerLayer(vqEma, { codebookSize: 16, deadCodes: { threshold: 1 } })],
  ['simvq', () => quantizerLayer(simvq, { codebookSize: 64 }, { seed: 4 })],
  ['fsq', () => quantizerLayer(fsq, { levels: [8, 5, 5, 5] })],
]

describe('quantizerLayer', () => {
  beforeAll(async () => {
    await useBackend('wasm', { threads: 1 })
  })

  it.each(layers)('%s trains inside a sequential model', async (_, make) => {
    const model = autoencoder(make())
    const loss = await fit(model, 100)
    expect(loss.at(-1)!).toBeLessThan(0.85 * loss[0]!)
    model.dispose()
  })

  it('adds its loss to the model and trains its weights', async () => {
    const layer = quantizerLayer(simvq, { codebookSize: 64 })
    const model = autoencoder(layer)
    const before = Array.from(layer.quantizer.parameters()['codes.transform.weight']!.dataSync())
    model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' })
    const x = key(3).normal([64, 6])
    const step = async (): Promise<number> => (await model.trainOnBatch(x, x)) as number
    const total = await step()
    expect(Array.from(layer.quantizer.parameters()['codes.transform.weight']!.dataSync())).not.toEqual(before)
    // The same without the quantizer's own loss is what a fresh model evaluates to.
    const fresh = autoencoder(quantizerLayer(simvq, { codebookSize: 64 }))
    fresh.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' })
    const alone = (fresh.evaluate(x, x) as tf.Scalar).dataSync()[0]!
    expect(total).toBeGreaterThan(alone * 1.0001)
    tf.dispose(x)
    model.dispose()
    fresh.dispose()
  })

  it.each(layers)('%s is saved with its model and loads', async (_, make) => {
    const model = autoencoder(make())
    await fit(model, 2)
    let saved: tf.io.ModelArtifacts | undefined
    await model.save(
      tf.io.withSaveHandler(async (artifacts) => {
        saved = structuredClone(artifacts)
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
      }),
    )
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved!))
    const x = key(5).normal([9, 6])
    const [own, other] = [model.predict(x) as tf.Tensor, loaded.predict(x) as tf.Tensor]
    expect(Array.from(other.dataSync())).toEqual(Array.from(own.dataSync()))
    tf.dispose([x, own, other])
    model.dispose()
    loaded.dispose()
  })

  it('leaves no tensor behind', async () => {
    const x = key(3).normal([64, 6])
    const before = tf.memory().numTensors
    const model = autoencoder(quantizerLayer(vqEma, { codebookSize: 16, deadCodes: { threshold: 1 } }))
    const optimizer = tf.train.sgd(0.01)
    model.compile({ optimizer, loss: 'meanSquaredError' })
    await model.trainOnBatch(x, x)
    const warm = tf.memory().numTensors
    for (let i = 0; i < 5; i++) await model.trainOnBatch(x, x)
    expect(tf.memory().numTensors).toBe(warm)
    tf.dispose(model.predict(x))
    model.dispose()
    optimizer.dispose()
    expect(tf.memory().numTensors).toBe(before)
    x.dispose()
  })

  it('gives indices by its quantizer', () => {
    const layer = quantizerLayer(simvq, { codebookSize: 64 })
    const model = autoencoder(layer)
    const z = key(6).normal([5, 4])
    const { indices, quantized, loss } = layer.quantizer.quantize(z)
    expect(indices.shape).toEqual([5])
    tf.dispose([z, indices, quantized, loss])
    model.dispose()
  })

  it('refuses what cannot be saved, unknown methods, and use before it is built', () => {
    expect(() => quantizerLayer(vq, { codebookSize: 4, init: () => tf.zeros([4, 2]) })).toThrow(/init: .*plain/)
    expect(() => quantizerLayer(vq, { codebookSize: 4 }).quantizer).toThrow(/must be part of a model/)
    const unknown = { ...vq, id: 'vq/none' } as unknown as typeof vq
    expect(() => quantizerLayer(unknown, { codebookSize: 4 })).toThrow(/method: .*vq\/none/)
    expect(() => autoencoder(quantizerLayer(vq, { codebookSize: 0 }))).toThrow(/codebookSize/)
  })
})

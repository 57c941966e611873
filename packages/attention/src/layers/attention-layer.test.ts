import * as tf from '@tensorflow/tfjs-core'
import * as tfl from '@tensorflow/tfjs-layers'
import { key, type Method, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { blockSparse, dsa, gla, gqa, gta, mfa, mha, mla, mqa, nsa, tpa } from '../index.ts'
import { type AttentionLayer, attentionLayer, crossAttentionLayer } from './attention-layer.ts'

const latents = { heads: 2, kvRank: 4, nopeDim: 4, ropeDim: 2 }
const layers: [string, () => AttentionLayer][] = [
  ['mha', () => attentionLayer(mha, { heads: 2, positions: 'alibi' }, { name: 'attention' })],
  ['gqa', () => attentionLayer(gqa, { heads: 4, groups: 2, positions: 'rope', dropout: 0.1 }, { seed: 4 })],
  ['mqa', () => attentionLayer(mqa, { heads: 2, positions: { encoding: 'rope', layout: 'interleaved', dims: 2 } })],
  ['mla', () => attentionLayer(mla, latents)],
  ['mfa', () => attentionLayer(mfa, { heads: 2, queryRank: 3 })],
  ['tpa', () => attentionLayer(tpa, { heads: 2, ranks: [3, 2, 2] })],
  ['gta', () => attentionLayer(gta, { heads: 2, groups: 1 })],
  ['gla', () => attentionLayer(gla, latents)],
  ['block-sparse', () => attentionLayer(blockSparse, { heads: 2, blockSize: 2 })],
  ['nsa', () => attentionLayer(nsa, { heads: 2, compressSize: 2, compressStride: 1, selectSize: 2, selected: 3, window: 2 })],
  ['dsa', () => attentionLayer(dsa, { ...latents, topK: 3, indexDim: 4 })],
] // prettier-ignore

/** Whether the first of five tokens is larger than the last: a question that only attention can answer here. */
function data(): { x: tf.Tensor3D; y: tf.Tensor2D } {
  return tf.tidy(() => {
    const x = key(3).normal<tf.Rank.R3>([64, 5, 8])
    const [first, last] = [0, 4].map((at) => tf.slice(x, [0, at, 0], [-1, 1, 1])) as [tf.Tensor, tf.Tensor]
    return { x, y: tf.cast(tf.reshape(tf.greater(first, last), [64, 1]), 'float32') as tf.Tensor2D }
  })
}

function model(layer: AttentionLayer): tfl.LayersModel {
  const dense = (units: number, seed: number, activation?: 'relu' | 'sigmoid') =>
    tfl.layers.dense({ units, ...(activation && { activation }), kernelInitializer: tfl.initializers.glorotUniform({ seed }) }) // prettier-ignore
  const input = tfl.input({ shape: [5, 8] })
  const attended = layer.apply(input) as tfl.SymbolicTensor
  const flat = tfl.layers.flatten().apply(attended) as tfl.SymbolicTensor
  return tfl.model({ inputs: input, outputs: dense(1, 2, 'sigmoid').apply(dense(8, 1, 'relu').apply(flat)) as tfl.SymbolicTensor }) // prettier-ignore
}

async function saved(of: tfl.LayersModel): Promise<tfl.LayersModel> {
  let artifacts: tf.io.ModelArtifacts | undefined
  await of.save(
    tf.io.withSaveHandler(async (made) => {
      artifacts = structuredClone(made)
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
    }),
  )
  return tfl.loadLayersModel(tf.io.fromMemory(artifacts!))
}

describe('attentionLayer', () => {
  beforeAll(async () => {
    await useBackend('wasm', { threads: 1 })
  })

  it.each(layers)('%s trains inside a model, is saved with it and loads', async (_, make) => {
    const own = model(make())
    own.compile({ optimizer: tf.train.adam(0.01), loss: 'binaryCrossentropy' })
    const { x, y } = data()
    const { history } = await own.fit(x, y, { epochs: 12, batchSize: 32, shuffle: false, verbose: 0 })
    const loss = history['loss'] as number[]
    expect(loss.at(-1)!).toBeLessThan(0.9 * loss[0]!)
    const loaded = await saved(own)
    const [before, after] = [own.predict(x) as tf.Tensor, loaded.predict(x) as tf.Tensor]
    expect(Array.from(after.dataSync())).toEqual(Array.from(before.dataSync()))
    tf.dispose([x, y, before, after])
    own.dispose()
    loaded.dispose()
  })

  it('attends from one input to another', async () => {
    const [tokens, context] = [tfl.input({ shape: [3, 8] }), tfl.input({ shape: [6, 5] })]
    const layer = crossAttentionLayer({ heads: 2 }, { name: 'cross' })
    const own = tfl.model({ inputs: [tokens, context], outputs: layer.apply([tokens, context]) as tfl.SymbolicTensor })
    own.compile({ optimizer: tf.train.adam(0.02), loss: 'meanSquaredError' })
    const [x, c] = [key(4).normal([16, 3, 8]), key(5).normal([16, 6, 5])]
    const y = tf.tidy(() => tf.tile(tf.mean(c, [1, 2], true), [1, 3, 8]))
    const { history } = await own.fit([x, c], y, { epochs: 60, verbose: 0 })
    const loss = history['loss'] as number[]
    expect(loss.at(-1)!).toBeLessThan(0.3 * loss[0]!)
    const loaded = await saved(own)
    const [before, after] = [own.predict([x, c]) as tf.Tensor, loaded.predict([x, c]) as tf.Tensor]
    expect(before.shape).toEqual([16, 3, 8])
    expect(Array.from(after.dataSync())).toEqual(Array.from(before.dataSync()))
    expect(() => crossAttentionLayer({ heads: 2 }).apply(tokens)).toThrow(/expected two inputs/)
    tf.dispose([x, c, y, before, after])
    own.dispose()
    loaded.dispose()
  })

  it('leaves no tensor behind', async () => {
    const { x, y } = data()
    const before = tf.memory().numTensors
    const own = model(attentionLayer(mla, latents))
    const optimizer = tf.train.sgd(0.01)
    own.compile({ optimizer, loss: 'binaryCrossentropy' })
    await own.trainOnBatch(x, y)
    const warm = tf.memory().numTensors
    for (let i = 0; i < 3; i++) await own.trainOnBatch(x, y)
    expect(tf.memory().numTensors).toBe(warm)
    tf.dispose(own.predict(x))
    own.dispose()
    optimizer.dispose()
    expect(tf.memory().numTensors).toBe(before)
    tf.dispose([x, y])
  })

  it('refuses what cannot be saved, unknown methods, and use before it is built', () => {
    expect(() => attentionLayer(mha, { heads: 2, scoreMod: (scores) => scores })).toThrow(/^scoreMod: expected plain/)
    expect(() => attentionLayer(mha, { heads: 2 }).attention).toThrow(/must be part of a model/)
    const unknown = { ...mha, id: 'attention/none' } as unknown as Method<{ dim: number }, never>
    expect(() => attentionLayer(unknown, {})).toThrow(/^method: expected one of .*attention\/none/)
    expect(() => model(attentionLayer(mha, { heads: 0 }))).toThrow(/^heads/)
    expect(() => model(attentionLayer(mha, { heads: 2, positions: 'none?' as never }))).toThrow(/^positions: expected one of/) // prettier-ignore
  })
})

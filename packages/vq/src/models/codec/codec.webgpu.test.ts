import * as tf from '@tensorflow/tfjs-core'
import { BackendError, type Device, key, useBackend, valueAndGradients } from '@x/core-gpu'
import { describe, expect, it } from 'vitest'
import { residualVq } from '../../methods/residual-vq/residual-vq.ts'
import { type Codec, codec } from './codec.ts'
import { codecConfigs } from './config.ts'
import { SpectralDistance } from './spectral.ts'

let device: Device | undefined
try {
  device = await useBackend('webgpu')
} catch (error) {
  if (!(error instanceof BackendError)) throw error
}

const make = (): Codec => {
  const quantizer = residualVq({ dim: 3, codebookSize: 8, layers: 3, codes: 'free', key: key(2) })
  return codec({ ...codecConfigs.tiny, quantizer, key: key(1) })
}

/** All that is to be equal, as numbers. */
async function results(): Promise<Record<string, number[]>> {
  const model = make()
  const spectral = new SpectralDistance({ windows: [8, 16], mel: { sampleRate: 8000, filters: 4 } })
  const signal = key(3).normal([2, 18, 1])
  const indices = model.encode(signal, { layers: 2 })
  const decoder = model.decodeStream()
  const tensors: Record<string, tf.Tensor> = {
    indices,
    decoded: model.decode(indices, { length: 18 }),
    chunk: tf.tidy(() => decoder.push(tf.slice(indices as tf.Tensor3D, [0, 0, 0], [2, 2, 2]))),
    next: tf.tidy(() => decoder.push(tf.slice(indices as tf.Tensor3D, [0, 2, 0], [2, 3, 2]))),
  }
  const trained = valueAndGradients(model.parameters(), () => model.loss(signal, { spectral }))
  Object.assign(tensors, { loss: trained.loss }, trained.gradients)
  const found: Record<string, number[]> = {}
  for (const [name, tensor] of Object.entries(tensors)) found[name] = Array.from(await tensor.data())
  tf.dispose([tensors, signal, trained.metrics] as tf.TensorContainer)
  decoder.dispose()
  spectral.dispose()
  model.dispose()
  return found
}

describe.skipIf(!device)('codec on webgpu', () => {
  it('encodes, decodes, streams and trains as on cpu', async () => {
    const got = await results()
    await useBackend('cpu')
    const wanted = await results()
    expect(Object.keys(got)).toEqual(Object.keys(wanted))
    expect(got['indices']).toEqual(wanted['indices'])
    for (const [name, values] of Object.entries(wanted)) {
      const scale = Math.max(1e-2, ...values.map(Math.abs))
      const worst = Math.max(...values.map((value, i) => Math.abs(value - got[name]![i]!)))
      // WebGPU promises sines to 2^-11 only, and every activation is made of them.
      expect([name, worst / scale < 1e-2]).toEqual([name, true])
    }
  }, 300_000)
})

import * as tf from '@tensorflow/tfjs-core'
import {
  AdamW,
  BaseModule,
  decodeSafetensors,
  encodeSafetensors,
  key,
  type Key,
  train,
  useBackend,
  valueAndGradients,
} from '@x/core-gpu'
import { checkGradients, conformance, countLeaks, expectRefusal, expectSame } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  fsq,
  groupedResidualVq,
  lfq,
  multiScaleVq,
  type Quantization,
  type Quantizer,
  residualVq,
  simvq,
  vq,
  vqEma,
} from '../../index.ts'
import { tinyConfig, waves } from '../example-images.ts'
import { vqVaeConfigs } from './config.ts'
import { type VqVae, vqVae } from './vq-vae.ts'

const quantizers: Record<string, (k: Key) => Quantizer> = {
  vq: (k) => vq({ dim: 4, codebookSize: 16, key: k }),
  'vq-ema': (k) => vqEma({ dim: 4, codebookSize: 16, kMeans: {}, deadCodes: {}, key: k }),
  simvq: (k) => simvq({ dim: 6, codebookSize: 16, key: k }),
  fsq: () => fsq({ levels: [5, 4, 3] }),
  lfq: () => lfq({ bits: 5 }),
  'residual-vq': (k) => residualVq({ dim: 4, codebookSize: 8, layers: 3, key: k }),
  'grouped-residual-vq': (k) => groupedResidualVq({ dim: 4, codebookSize: 8, layers: 2, groups: 2, key: k }),
  'multi-scale-vq': (k) => multiScaleVq({ dim: 4, codebookSize: 8, scales: [1, 2, 4], key: k }),
}

const make = (quantizer: Quantizer, seed = 1): VqVae => vqVae({ ...tinyConfig, quantizer, key: key(seed) })

/** Leaves vectors as they are, so that the whole model can be differentiated. */
class Untouched extends BaseModule implements Quantizer {
  readonly dim = 4
  readonly codebookSize = 1
  readonly codebooks = 1
  quantize(z: tf.Tensor): Quantization {
    return { quantized: tf.clone(z), indices: tf.zeros(z.shape.slice(0, -1), 'int32'), loss: tf.scalar(0), terms: {} }
  }
  decode(): tf.Tensor {
    throw new Error('there are no codes')
  }
  codebook(): tf.Tensor {
    return tf.zeros([1, 4])
  }
}

describe.each(['cpu', 'wasm'] as const)('vqVae on %s', { timeout: 180_000 }, (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = conformance(vqVae, {
    options: (k) => ({ ...tinyConfig, quantizer: fsq({ levels: [5, 4, 3] }), dropout: 0.1, key: k }),
    badOptions: {
      size: [8, [8], [8, 7], [0, 8]],
      channels: [0, 1.5],
      width: [0, '4'],
      multipliers: [[], [0], 2],
      blocks: [0],
      attention: [[3], 4],
      latentDim: [0],
      groups: [0, 3],
      dropout: [-0.1, 1],
      quantizer: [undefined, {}, 'vq'],
      pixels: ['l3'],
      key: [7],
    },
    call: (model, k) => {
      const x = waves(k, 2)
      const { terms, ...pass } = model.forward(x, { training: true, key: k })
      x.dispose()
      return { ...pass, ...terms }
    },
  })
  it.each(checks)('$name', ({ run }) => run())

  // The slow backend tries one of each kind.
  const tried = backend === 'cpu' ? ['vq-ema', 'residual-vq'] : Object.keys(quantizers)
  describe.each(tried.map((name) => [name, quantizers[name]!] as const))('around %s', (_, quantizer) => {
    it('reconstructs what its indices decode to', async () => {
      const model = make(quantizer(key(2)))
      const x = waves(key(3), 3)
      // After a step, so that codes that learn by counting have learnt.
      tf.dispose(model.forward(x, { training: true, key: key(4) }))
      const { reconstruction, indices, loss, terms } = model.forward(x)
      expect(reconstruction.shape).toEqual([3, 8, 8, 2])
      expect(indices.dtype).toBe('int32')
      const encoded = model.encode(x)
      expect(encoded.latents.shape).toEqual([3, 4, 4, model.quantizer.dim])
      const decoded = model.decode(encoded.indices)
      await expectSame('images', { indices, image: reconstruction }, { indices: encoded.indices, image: decoded })
      const difference = tf.mean(tf.squaredDifference(x, reconstruction))
      expect(loss.dataSync()[0]).toBeCloseTo(difference.dataSync()[0]!, 6)
      expect(Object.keys(terms)).toEqual(['pixels'])
      model.dispose()
    })

    it('adds the losses of the quantizer in training', async () => {
      const model = make(quantizer(key(2)))
      const { loss, terms } = model.forward(waves(key(3), 3), { training: true, key: key(4) })
      const sum = Object.values(terms).reduce((all, term) => all + term.dataSync()[0]!, 0)
      expect(Math.abs(loss.dataSync()[0]! - sum)).toBeLessThan(1e-5 * Math.max(1, Math.abs(sum)))
      model.dispose()
    })

    it('leaves nothing behind, and comes back from safetensors', async () => {
      const [model, other] = [make(quantizer(key(2))), make(quantizer(key(5)), 6)]
      const x = waves(key(3), 3)
      const step = (): unknown => model.forward(x, { training: true, key: key(4) })
      expect(await countLeaks(step)).toBe(0)
      expect(await countLeaks(() => model.encode(x))).toBe(0)
      const { tensors } = decodeSafetensors(await encodeSafetensors(model.state()))
      other.load(tensors)
      tf.dispose(tensors)
      await expectSame('images', { ...model.forward(x), terms: x }, { ...other.forward(x), terms: x })
      model.dispose()
      other.dispose()
    })

    it('gives every parameter a gradient', async () => {
      const model = make(quantizer(key(2)))
      const x = waves(key(3), 3)
      const { gradients } = valueAndGradients(model.parameters(), () => ({
        loss: model.forward(x, { training: true, key: key(4) }).loss,
      }))
      expect(Object.keys(gradients)).toEqual(Object.keys(model.parameters()))
      for (const gradient of Object.values(gradients)) {
        const values = await gradient.data()
        expect(values.every(Number.isFinite)).toBe(true)
      }
      model.dispose()
    })
  })

  it('has the gradients that finite differences have, in every layer', async () => {
    const model = vqVae({ ...tinyConfig, size: [4, 4], attention: [2], quantizer: new Untouched(), key: key(1) })
    const x = waves(key(3), 2, 4)
    // The slow backend tries one weight of each tensor.
    const elements = backend === 'cpu' ? 1 : 2
    await checkGradients(() => model.forward(x).reconstruction, model.parameters(), { elements, tolerance: 5e-3 })
    await checkGradients(
      ({ image }) => model.forward(image).reconstruction,
      { image: x },
      { elements: 8, tolerance: 5e-3 },
    )
  })

  it('passes the gradient straight through the codes', async () => {
    const model = make(vq({ dim: 4, codebookSize: 16, key: key(2) }))
    const x = waves(key(3), 2)
    const { latents, indices } = model.encode(x)
    // Straight through: as if a constant had been added to the latents.
    const offset = tf.sub(model.quantizer.decode(indices), latents)
    const inner = model.parameters()
    const shifted = (): tf.Tensor => {
      const z = model.project.forward(model.encoder.forward(x))
      return model.decoder.output.forward(model.decoder.features(model.unproject.forward(tf.add(z, offset))))
    }
    const objective = (image: tf.Tensor): { loss: tf.Scalar } => ({ loss: tf.mean(tf.square(tf.sub(image, x))) })
    const real = valueAndGradients(inner, () => objective(model.forward(x).reconstruction))
    const wanted = valueAndGradients(inner, () => objective(shifted()))
    expect(Object.keys(real.gradients)).toEqual(Object.keys(wanted.gradients))
    expect(Object.keys(inner).filter((name) => !(name in real.gradients))).toEqual(['quantizer.codes.weight'])
    for (const [name, gradient] of Object.entries(wanted.gradients)) {
      const [got, exact] = [await real.gradients[name]!.data(), await gradient.data()]
      const scale = Math.max(1e-3, ...exact.map(Math.abs))
      exact.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(1e-4 * scale))
    }
    model.dispose()
  })

  it('is the same under the same keys, and another under another', async () => {
    const [a, b, c] = [1, 1, 2].map((seed) => make(simvq({ dim: 4, codebookSize: 16, key: key(9) }), seed))
    await expectSame('state', a!.state(), b!.state())
    const weights = [a!, c!].map((model) => Array.from(model.encoder.input.weight.dataSync()))
    expect(weights[0]).not.toEqual(weights[1])
  })

  it.each(['l1', 'l2'] as const)('measures pixels by %s', (pixels) => {
    const model = vqVae({ ...tinyConfig, quantizer: fsq({ levels: [3, 3] }), pixels })
    const distance = model.pixelDistance(tf.tensor1d([1, 2, -1]), tf.tensor1d([0, 4, -1])).dataSync()[0]
    expect(distance).toBeCloseTo(pixels === 'l1' ? 1 : 5 / 3, 6)
  })

  it('refuses other images and other indices by name', () => {
    const model = make(fsq({ levels: [5, 4, 3] }))
    expectRefusal('x', () => model.forward(tf.zeros([2, 8, 8, 3])))
    expectRefusal('x', () => model.encode(tf.zeros([2, 16, 16, 2])))
    expectRefusal('x', () => model.forward([1] as unknown as tf.Tensor))
    expectRefusal('indices', () => model.decode(tf.zeros([2, 4, 5], 'int32')))
    expectRefusal('indices', () => model.decode(tf.zeros([2, 4, 4])))
    expectRefusal('indices', () => model.decode(tf.fill([2, 4, 4], 60, 'int32')))
  })
})

describe('the configs', () => {
  beforeAll(async () => void (await useBackend('wasm')))

  // The networks of the configs, but for narrower features: shapes are what is looked at.
  it.each(Object.entries(vqVaeConfigs))('%s reconstructs in its size', (_, config) => {
    const model = vqVae({ ...config, width: 4, groups: 2, blocks: 1, quantizer: fsq({ levels: [8, 5] }) })
    const [height, width] = config.size
    const x = tf.zeros([1, height, width, config.channels])
    const { reconstruction, indices } = model.forward(x)
    expect(reconstruction.shape).toEqual(x.shape)
    expect(indices.shape).toEqual([1, ...model.latentSize])
    const f = height / model.latentSize[0]
    expect({ gray28: 4, rgb32: 4, rgb64: 4, rgb128: 8, rgb256: 16 }[_]).toBe(f)
    tf.dispose([x, reconstruction, indices])
    model.dispose()
  })

  it('the smallest runs in its full width', () => {
    const model = vqVae({ ...vqVaeConfigs.gray28, quantizer: fsq({ levels: [8, 5, 5, 5] }) })
    const pass = model.forward(tf.zeros([1, 28, 28, 1]))
    expect(pass.indices.shape).toEqual([1, 7, 7])
    model.dispose()
  })
})

describe('vqVae in training', () => {
  beforeAll(async () => void (await useBackend('wasm')))

  it.each([
    ['simvq', 0.75],
    ['fsq', 0.75],
  ] as const)('learns to reconstruct with %s', async (name, share) => {
    const model = make(quantizers[name]!(key(2)))
    const images = waves(key(3), 8)
    const losses: number[] = []
    const optimizer = new AdamW({ learningRate: 5e-3, weightDecay: 0 })
    const before = tf.memory().numTensors
    await train(model, {
      steps: 40,
      progress: 'silent',
      optimizer,
      data: () => ({ x: tf.clone(images) }),
      loss: ({ x }, { key: k }) => {
        const { loss, terms } = model.forward(x, { training: true, key: k })
        return { loss, metrics: { pixels: terms['pixels']! } }
      },
      onStep: ({ metrics }) => void losses.push(metrics['pixels']!),
    })
    optimizer.dispose()
    expect(losses.at(-1)!).toBeLessThan(share * losses[0]!)
    // One less: the count of the optimizer's steps was there before.
    expect(tf.memory().numTensors).toBe(before - 1)
    model.dispose()
  })
})

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, BaseModule, key, type Key, Linear, train, useBackend } from '@x/core-gpu'
import { expectSame } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  diveq,
  fsq,
  ibq,
  OnlineClusters,
  optvq,
  RareCodes,
  rotation,
  simvq,
  vq,
  vqEma,
  vqStePlusPlus,
} from './index.ts'
import { measureQuantizer } from './metrics.ts'
import type { Quantizer } from './quantizer.ts'

/** The smallest autoencoder with a quantizer in its middle. */
class Autoencoder extends BaseModule {
  readonly encoder: Linear
  readonly quantizer: Quantizer
  readonly decoder: Linear

  constructor(quantizer: Quantizer, k: Key) {
    super()
    const [a, b] = k.split(2) as [Key, Key]
    this.encoder = new Linear(16, quantizer.dim, { key: a })
    this.quantizer = quantizer
    this.decoder = new Linear(quantizer.dim, 16, { key: b })
  }

  loss(x: tf.Tensor, at: Key): tf.Scalar {
    const { quantized, loss } = this.quantizer.quantize(this.encoder.forward(x), { training: true, key: at })
    return tf.add(tf.losses.meanSquaredError(x, this.decoder.forward(quantized)), loss)
  }
}

const quantizers: Record<string, (k: Key) => Quantizer> = {
  vq: (k) => vq({ dim: 4, codebookSize: 32, key: k }),
  'vq-ema': (k) => vqEma({ dim: 4, codebookSize: 32, decay: 0.9, kMeans: {}, deadCodes: { threshold: 0.1 }, key: k }),
  rotation: (k) => rotation({ dim: 4, codebookSize: 32, key: k }),
  simvq: (k) => simvq({ dim: 4, codebookSize: 32, key: k }),
  diveq: (k) => diveq({ dim: 4, codebookSize: 32, deadCodes: new RareCodes(32, { every: 5 }), key: k }),
  ibq: (k) => ibq({ dim: 4, codebookSize: 32, deadCodes: new OnlineClusters(32), key: k }),
  optvq: (k) => optvq({ dim: 4, codebookSize: 32, key: k }),
  'vq-ste++': (k) => vqStePlusPlus({ dim: 4, codebookSize: 32, affine: 'running', inPlace: {}, key: k }),
  fsq: () => fsq({ levels: [4, 3, 3, 3], normalise: true }),
}

/** Points on a curve of few dimensions, as 16 numbers each. */
function batch(k: Key): { x: tf.Tensor } {
  return {
    x: tf.tidy(() => {
      const hidden = k.uniform([64, 2], { min: -1, max: 1 })
      return tf.tanh(tf.matMul(hidden as tf.Tensor2D, key(99).normal<tf.Rank.R2>([2, 16])))
    }),
  }
}

describe.each(['cpu', 'wasm'] as const)('training on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  // Learning is tried on the quicker of them; a stopped run goes on to the same bits on both.
  const learners = backend === 'wasm' ? Object.entries(quantizers) : []
  it.each(learners)('an autoencoder learns with %s in its middle', async (_, make) => {
    const model = new Autoencoder(make(key(1)), key(2))
    const losses: number[] = []
    let tensors = 0
    await train(model, {
      steps: 150,
      progress: 'silent',
      optimizer: new AdamW({ learningRate: 0.01, weightDecay: 0 }),
      data: ({ key: k }) => batch(k),
      loss: ({ x }, { key: k }) => model.loss(x, k),
      onStep: ({ step, loss }) => {
        losses.push(loss)
        if (step === 5) tensors = tf.memory().numTensors
        if (step > 5) expect(tf.memory().numTensors).toBe(tensors)
      },
    })
    const mean = (values: number[]): number => values.reduce((a, b) => a + b) / values.length
    expect(mean(losses.slice(-10))).toBeLessThan(0.6 * mean(losses.slice(0, 10)))
    const { x } = batch(key(3))
    const z = model.encoder.forward(x)
    const { usage } = await measureQuantizer(model.quantizer, [z])
    expect(usage).toBeGreaterThan(1 / 32)
  })

  it.each(Object.entries(quantizers))('a stopped run with %s goes on to the same bits', async (_, make) => {
    let stored: Uint8Array | null = null
    const store = { read: async () => stored, write: async (bytes: Uint8Array) => void (stored = bytes) }
    const run = async (steps: number, checkpoint: boolean): Promise<Autoencoder> => {
      const model = new Autoencoder(make(key(1)), key(2))
      await train(model, {
        steps,
        progress: 'silent',
        optimizer: new AdamW({ learningRate: 0.01 }),
        data: ({ key: k }) => batch(k),
        loss: ({ x }, { key: k }) => model.loss(x, k),
        checkpoint: checkpoint ? { store, every: 100 } : undefined,
      })
      return model
    }
    const whole = await run(12, false)
    await run(7, true)
    const resumed = await run(12, true)
    await expectSame('state', resumed.state(), whole.state())
  })
})

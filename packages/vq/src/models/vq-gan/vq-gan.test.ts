import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type CheckpointStore, key, type StepReport, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, countLeaks, expectSame } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vq } from '../../index.ts'
import { waves } from '../example-images.ts'
import { perceptualDistance } from '../perceptual/perceptual-distance.ts'
import { adaptiveWeight } from './adaptive-weight.ts'
import { type AdversarialLoss, hinge, nonSaturating } from './adversarial.ts'
import { patchesOf, PatchDiscriminator } from './discriminator.ts'
import { ganOptions, lossOptions, smallFeatures, stepOf, vqGanConformance } from './example-gan.ts'
import { PartOptimizer } from './part-optimizer.ts'
import { trainVqGan, type TrainVqGanOptions, vqGanLoss } from './train-vq-gan.ts'
import { type VqGan, vqGan } from './vq-gan.ts'

const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0) / values.length
const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values))
const make = (): VqGan => vqGan({ ...ganOptions(key(1)), quantizer: vq({ dim: 4, codebookSize: 16, key: key(2) }) })

describe.each(['cpu', 'wasm'] as const)('vqGan on %s', { timeout: 180_000 }, (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(vqGanConformance())('$name', ({ run }) => run())

  it('weighs the adversarial loss by the ratio of gradients at the last layer', async () => {
    const model = make()
    const { autoencoder, discriminator } = model
    const images = waves(key(3), 2)
    const image = tf.tidy(() => autoencoder.autoencode(images).reconstruction)
    const last = { weight: autoencoder.decoder.output.weight }
    // The whole graph once for each loss, the norms in float64.
    const explicit = async (f: (x: tf.Tensor4D) => tf.Scalar): Promise<number> => {
      const { gradients } = valueAndGradients(last, () => ({ loss: f(autoencoder.autoencode(images).reconstruction) }))
      return norm(await gradients['weight']!.data())
    }
    const reconstruct = (x: tf.Tensor4D): tf.Scalar => autoencoder.pixelDistance(x, images)
    const fool = (x: tf.Tensor4D): tf.Scalar => hinge.generator(discriminator.forward(x))
    const wanted = (await explicit(reconstruct)) / ((await explicit(fool)) + 1e-4)
    const layer = {
      features: autoencoder.autoencode(images).features,
      weight: autoencoder.decoder.output.weight as unknown as tf.Tensor4D,
      reconstruction: tf.grad((x: tf.Tensor) => reconstruct(x as tf.Tensor4D))(image) as tf.Tensor4D,
      adversarial: tf.grad((x: tf.Tensor) => fool(x as tf.Tensor4D))(image) as tf.Tensor4D,
    }
    const got = adaptiveWeight(layer).dataSync()[0]!
    expect(Math.abs(got / wanted - 1)).toBeLessThan(1e-4)
    expect(adaptiveWeight(layer, { max: wanted / 3 }).dataSync()[0]).toBeCloseTo(wanted / 3, 4)
    const still = { ...layer, adversarial: tf.zerosLike(layer.adversarial) }
    expect(adaptiveWeight(still).dataSync()[0]).toBeCloseTo((await explicit(reconstruct)) / 1e-4, 0)
    expect(await countLeaks(() => adaptiveWeight(layer))).toBe(0)
  })

  it('has the gradients of its losses, taken one by one', async () => {
    const model = make()
    const { autoencoder, discriminator } = model
    const network = smallFeatures()
    const images = waves(key(3), 2)
    const context = { step: 5, key: key(4) }
    const options = { ...lossOptions(network), adversarial: { start: 5, weight: 0.7 } }
    const state = Object.fromEntries(Object.entries(model.state()).map(([name, x]) => [name, tf.clone(x)]))
    const step = valueAndGradients(model.parameters(), () => {
      const { loss, metrics } = vqGanLoss(model, images, context, options)
      return { loss, metrics: metrics! }
    })
    const ratio = step.metrics['ratio']!
    // Running statistics take no part in a training step; they only have to be there again.
    model.load(state)
    const training = { training: true }
    const one = valueAndGradients(autoencoder.parameters(), () => {
      const { reconstruction, quantization } = autoencoder.autoencode(images, { training: true, key: context.key })
      const distance = tf.mean(perceptualDistance((x) => network.features(x), reconstruction, images))
      const adversarial = hinge.generator(discriminator.forward(reconstruction, training))
      const parts = [
        autoencoder.pixelDistance(reconstruction, images),
        tf.mul(0.5, distance),
        tf.mul(tf.mul(0.7, ratio), adversarial),
        quantization.loss,
      ]
      return { loss: parts.reduce((a, b) => tf.add(a, b)) as tf.Scalar }
    })
    const fake = tf.tidy(() => autoencoder.autoencode(images).reconstruction)
    const other = valueAndGradients(discriminator.parameters(), () => ({
      loss: hinge.discriminator(discriminator.forward(images, training), discriminator.forward(fake, training)),
    }))
    const named = (part: string, gradients: Record<string, tf.Tensor>): [string, tf.Tensor][] =>
      Object.entries(gradients).map(([name, gradient]) => [`${part}.${name}`, gradient])
    const wanted = [...named('autoencoder', one.gradients), ...named('discriminator', other.gradients)]
    expect(Object.keys(step.gradients)).toEqual(wanted.map(([name]) => name))
    for (const [name, gradient] of wanted) {
      const [got, exact] = [await step.gradients[name]!.data(), await gradient.data()]
      const scale = Math.max(1e-3, ...exact.map(Math.abs))
      exact.forEach((value, i) => {
        if (!(Math.abs(got[i]! - value) < 1e-3 * scale)) expect.fail(`${name}[${i}]: ${got[i]}, expected ${value}`)
      })
    }
    expect(step.loss.dataSync()[0]).toBeCloseTo(one.loss.dataSync()[0]! + other.loss.dataSync()[0]!, 4)
  })

  it('lets the discriminator rest until its first step', async () => {
    const model = make()
    const images = waves(key(3), 2)
    const { gradients, metrics } = valueAndGradients(model.parameters(), () => {
      const out = vqGanLoss(model, images, { step: 4, key: key(4) }, { adversarial: { start: 5 } })
      return { loss: out.loss, metrics: out.metrics! }
    })
    expect(Object.keys(metrics).sort()).toEqual(['codebook', 'commitment', 'pixels'])
    expect(Object.keys(gradients).filter((name) => name.startsWith('discriminator'))).toEqual([])
    expect(Object.keys(gradients)).toEqual(Object.keys(model.autoencoder.parameters()).map((n) => `autoencoder.${n}`))
  })

  it('leaves nothing behind', async () => {
    const model = make()
    expect(await countLeaks(() => stepOf(model, key(3)))).toBe(0)
  })
})

describe('trainVqGan', { timeout: 180_000 }, () => {
  beforeAll(async () => void (await useBackend('wasm')))

  const options = (more: Partial<TrainVqGanOptions> = {}): TrainVqGanOptions => {
    const adam = (): AdamW => new AdamW({ learningRate: 5e-3, beta1: 0.5, beta2: 0.9, weightDecay: 0 })
    return {
      steps: 6,
      progress: 'silent',
      optimizers: { autoencoder: adam(), discriminator: adam() },
      data: ({ step }) => waves(key(60).fold(step % 2), 4),
      adversarial: { start: 2, weight: 0.1 },
      clip: 1,
      ...more,
    }
  }

  it('brings the reconstruction nearer, and leaves nothing behind', async () => {
    const model = make()
    const reports: StepReport[] = []
    let tensors = 0
    const network = smallFeatures()
    const distances = { features: (x: tf.Tensor4D) => network.features(x), weight: 0.1 }
    const all = options({
      steps: 30,
      perceptual: distances,
      adversarial: { start: 10, weight: 0.1 },
      onStep: (report) => {
        reports.push(report)
        // Optimizers have everything that they keep once the discriminator has moved.
        if (report.step === 12) tensors = tf.memory().numTensors
        if (report.step > 12) expect(tf.memory().numTensors).toBe(tensors)
      },
    })
    await trainVqGan(model, all)
    const objective = ({ metrics }: StepReport): number => metrics['pixels']! + 0.1 * metrics['perceptual']!
    expect(mean(reports.slice(-4).map(objective))).toBeLessThan(0.85 * mean(reports.slice(0, 4).map(objective)))
    expect(reports[9]!.metrics).not.toHaveProperty('discriminator')
    expect(reports[10]!.metrics).toHaveProperty('discriminator')
  })

  it('teaches the discriminator to tell images from reconstructions', async () => {
    const model = make()
    const losses: number[] = []
    // The autoencoder stands still.
    const { optimizers } = options()
    const still = new AdamW({ learningRate: 0, weightDecay: 0 })
    await trainVqGan(
      model,
      options({
        steps: 30,
        adversarial: {},
        optimizers: { ...optimizers, autoencoder: still },
        onStep: ({ metrics }) => void losses.push(metrics['discriminator']!),
      }),
    )
    expect(losses.at(-1)!).toBeLessThan(0.7 * losses[0]!)
  })

  const memoryStore = (): CheckpointStore => {
    let stored: Uint8Array | null = null
    return { read: async () => stored, write: async (bytes) => void (stored = bytes) }
  }

  it('goes on from a checkpoint to the same bits, with both optimizers', async () => {
    const whole = make()
    await trainVqGan(whole, options())
    const store = memoryStore()
    await trainVqGan(make(), options({ steps: 4, checkpoint: { store, every: 10 } }))
    const resumed = make()
    const result = await trainVqGan(resumed, options({ checkpoint: { store, every: 10 } }))
    expect(result).toMatchObject({ resumedFrom: 4, step: 6, reason: 'finished' })
    await expectSame('state', resumed.state(), whole.state())
  })

  it('stops at a signal', async () => {
    const controller = new AbortController()
    const onStep = ({ step }: StepReport): void => (step === 1 ? controller.abort() : undefined)
    const result = await trainVqGan(make(), options({ signal: controller.signal, onStep }))
    expect(result).toMatchObject({ step: 2, reason: 'aborted' })
  })

  it.each([
    [{ clip: 0 }, /^clip: expected a number > 0, got 0/],
    [{ adversarial: { start: -1 } }, /^adversarial.start: expected a whole number >= 0, got -1/],
    [{ adversarial: { weight: -1 } }, /^adversarial.weight: expected a finite number >= 0, got -1/],
    [{ adversarial: { maxRatio: Number.NaN } }, /^adversarial.maxRatio: .* got NaN/],
    [{ perceptual: { features: 3 as never } }, /^perceptual.features: expected a function, got 3/],
    [{ perceptual: { features: () => [], weight: -2 } }, /^perceptual.weight: .* got -2/],
    [{ perceptual: { features: () => [] } }, /^features: expected at least one map, got none/],
    [{ data: () => tf.zeros<tf.Rank.R4>([1, 8, 8, 1]) }, /^x: expected shape \[\?, 8, 8, 2\], got \[1, 8, 8, 1\]/],
  ] satisfies [Partial<TrainVqGanOptions>, RegExp][])('refuses %j', async (more, message) => {
    await expect(trainVqGan(make(), options(more))).rejects.toThrow(message)
  })
})

describe('the parts', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  it.each([
    ['hinge', hinge, (x: number) => Math.max(0, 1 - x), (x: number) => Math.max(0, 1 + x), (x: number) => -x],
    [
      'non-saturating',
      nonSaturating,
      (x: number) => Math.log(1 + Math.exp(-x)),
      (x: number) => Math.log(1 + Math.exp(x)),
      (x: number) => Math.log(1 + Math.exp(-x)),
    ],
  ] as const)('%s is its closed form', (_, loss: AdversarialLoss, onReal, onFake, fooling) => {
    const logits = fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(logits, logits, (real, fake) => {
        const [a, b] = [tf.tensor1d(real), tf.tensor1d(fake)]
        const wanted = (mean(real.map(onReal)) + mean(fake.map(onFake))) / 2
        expect(loss.discriminator(a, b).dataSync()[0]).toBeCloseTo(wanted, 4)
        expect(loss.generator(b).dataSync()[0]).toBeCloseTo(mean(fake.map(fooling)), 4)
      }),
      { numRuns: 30 },
    )
  })

  it.each([
    [[28, 28], 3, [1, 1]],
    [[8, 8], 1, [2, 2]],
    [[21, 16], 2, [3, 2]],
    [[256, 256], 3, [30, 30]],
  ] as const)('a discriminator of %j images with %i layers has %j logits', (size, layers, patches) => {
    expect(patchesOf(size, layers)).toEqual(patches)
    if (size[0] > 100) return
    const network = new PatchDiscriminator(1, { width: 2, layers, key: key(1) })
    expect(network.forward(tf.zeros([1, ...size, 1])).shape).toEqual([1, ...patches, 1])
  })

  it.each(['batch', 'group'] as const)('a discriminator with %s norms has the gradients it should', async (kind) => {
    const network = new PatchDiscriminator(2, { width: 3, layers: 1, norm: kind, key: key(1) })
    const x = waves(key(2), 2)
    // By running statistics, which a step does not move; leaky ReLUs bend, so steps are small.
    const f = ({ image }: { image: tf.Tensor }): tf.Tensor => network.forward(image)
    await checkGradients(f, { image: x }, { step: 2 ** -7, tolerance: 2e-2, elements: 12 })
    const statistics = Object.keys(network.state()).filter((name) => name.includes('running'))
    expect(statistics).toHaveLength(kind === 'batch' ? 2 : 0)
  })

  it('tells what a patch looks like, not where it is', () => {
    const network = new PatchDiscriminator(1, { width: 2, layers: 1, key: key(1) })
    const logits = network.forward(tf.ones([1, 24, 24, 1])) as tf.Tensor4D // away from the edges all the same
    const inner = tf.slice(logits, [0, 3, 3, 0], [1, 4, 4, 1]).dataSync()
    for (const logit of inner) expect(logit).toBeCloseTo(inner[0]!, 5)
  })

  it.each([
    [{ width: 0 }, /^width: expected a whole number >= 1, got 0/],
    [{ layers: 1.5 }, /^layers: expected a whole number >= 1, got 1.5/],
    [{ norm: 'none' as never }, /^norm: expected "batch" or "group", got none/],
  ])('a discriminator refuses %j', (bad, message) => {
    expect(() => new PatchDiscriminator(3, { ...bad, key: key(1) })).toThrow(message)
  })

  it('an optimizer of parts refuses a state of other parts', () => {
    const optimizer = new PartOptimizer({ a: new AdamW({ learningRate: 1 }) })
    expect(Object.keys(optimizer.state())).toEqual(['a.step'])
    expect(() => optimizer.load({ ...optimizer.state(), 'b.step': tf.scalar(0) })).toThrow(
      /^state: unknown entry "b.step"; known are those of a/,
    )
  })
})

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, key, type StepReport, useBackend } from '@x/core-gpu'
import { checkGradients, countLeaks } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { waves } from '../example-images.ts'
import { FeatureNetwork, quarterTurns, trainFeatureNetwork } from './feature-network.ts'
import { perceptualDistance } from './perceptual-distance.ts'

describe.each(['cpu', 'wasm'] as const)('perceptual distances on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const network = (): FeatureNetwork => new FeatureNetwork({ channels: 2, width: 8, stages: 2, key: key(1) })

  it('are 0 for equal images and grow with the distortion', () => {
    const net = network()
    const features = (x: tf.Tensor4D): tf.Tensor[] => net.features(x)
    const [x, noise] = [waves(key(2), 3), key(3).normal<tf.Rank.R4>([3, 8, 8, 2])]
    const distances = [0, 0.05, 0.2, 0.8].map((share) =>
      perceptualDistance(features, tf.add(x, tf.mul(share, noise)), x).dataSync(),
    )
    expect(Array.from(distances[0]!)).toEqual([0, 0, 0])
    for (const image of [0, 1, 2])
      for (const i of [1, 2, 3]) expect(distances[i]![image]).toBeGreaterThan(distances[i - 1]![image]!)
  })

  it('are what a float64 loop gives, whatever gives the features', async () => {
    const [a, b] = [key(2).normal<tf.Rank.R4>([2, 3, 2, 4]), key(3).normal<tf.Rank.R4>([2, 3, 2, 4])]
    const got = perceptualDistance((x) => [x, tf.slice(x, [0, 0, 0, 1], [-1, -1, -1, 2])], a, b).dataSync()
    const [as, bs] = [await a.data(), await b.data()]
    const apart = (at: number, from: number, size: number): number => {
      const [u, v] = [as, bs].map((all) => {
        const vector = Array.from(all.slice(at + from, at + from + size))
        return vector.map((value) => value / Math.hypot(...vector))
      }) as [number[], number[]]
      return u.reduce((sum, value, i) => sum + (value - v[i]!) ** 2, 0)
    }
    for (const image of [0, 1]) {
      const positions = Array.from({ length: 6 }, (_, i) => (image * 6 + i) * 4)
      const wanted = positions.reduce((sum, at) => sum + apart(at, 0, 4) + apart(at, 1, 2), 0) / 6
      expect(got[image]).toBeCloseTo(wanted, 5)
    }
  })

  it('have the gradients they should, and leave nothing behind', async () => {
    const net = network()
    const b = waves(key(4), 1, 4)
    const f = ({ a }: { a: tf.Tensor4D }): tf.Tensor => perceptualDistance((x) => net.features(x), a, b)
    await checkGradients(f, { a: waves(key(5), 1, 4) }, { elements: 12, tolerance: 5e-3 })
    const x = waves(key(5), 1, 4)
    expect(await countLeaks(() => perceptualDistance((y) => net.features(y), x, b))).toBe(0)
    expect(await countLeaks(() => net.forward(x))).toBe(0)
  })

  it('quarter turns are those of the pixels, counterclockwise', () => {
    const image = tf.tensor4d([1, 2, 3, 4, 5, 6], [1, 2, 3, 1])
    const turned = [0, 1, 2, 3, 5].map((turns) => Array.from(quarterTurns(image, turns).dataSync()))
    const one = [3, 6, 2, 5, 1, 4]
    expect(turned).toEqual([[1, 2, 3, 4, 5, 6], one, [6, 5, 4, 3, 2, 1], [4, 1, 5, 2, 6, 3], one])
    expect(quarterTurns(image, 1).shape).toEqual([1, 3, 2, 1])
  })

  it('refuse what does not fit', () => {
    const x = waves(key(2), 1)
    expect(() => perceptualDistance(() => [x], x, waves(key(2), 2))).toThrow(/^b: expected shape \[1, 8, 8, 2\]/)
    expect(() => perceptualDistance(() => [], x, x)).toThrow(/^features: expected at least one map, got none/)
    expect(() => perceptualDistance(() => [tf.zeros([3])], x, x)).toThrow(/^features\[0\]: expected shape/)
    expect(() => network().features(tf.zeros([1, 8, 8, 3]))).toThrow(/^x: expected shape/)
    for (const bad of [{ channels: 0 }, { width: 12 }, { stages: 0 }, { classes: 1 }])
      expect(() => new FeatureNetwork(bad)).toThrow(new RegExp(`^${Object.keys(bad)[0]}: expected`))
  })
})

describe('trainFeatureNetwork', () => {
  beforeAll(async () => void (await useBackend('wasm')))

  /** Waves on a slope that shows where down is. */
  const sloped = (seed: number, count: number): tf.Tensor4D =>
    tf.tidy(() => {
      const slope = tf.reshape(tf.linspace(-1, 1, 8), [1, 8, 1, 1])
      return tf.add(tf.mul(0.3, waves(key(70).fold(seed), count, 8, 1)), slope)
    })
  const make = (classes = 4): FeatureNetwork =>
    new FeatureNetwork({ channels: 1, width: 8, stages: 2, classes, key: key(1) })
  const run = async (
    net: FeatureNetwork,
    data: (step: number) => { images: tf.Tensor4D; labels?: tf.Tensor1D },
  ): Promise<StepReport[]> => {
    const reports: StepReport[] = []
    const optimizer = new AdamW({ learningRate: 0.01 })
    await trainFeatureNetwork(net, {
      steps: 30,
      progress: 'silent',
      optimizer,
      data: ({ step }) => data(step),
      onStep: (report) => void reports.push(report),
    })
    optimizer.dispose()
    return reports
  }

  it('learns to tell quarter turns apart without labels', async () => {
    const reports = await run(make(), (step) => ({ images: sloped(step, 4) }))
    expect(reports.at(-1)!.loss).toBeLessThan(0.5 * reports[0]!.loss)
    expect(reports.at(-1)!.metrics['accuracy']).toBeGreaterThan(0.7)
  })

  it('learns labels', async () => {
    const before = tf.memory().numTensors
    const net = make(2)
    const reports = await run(net, (step) =>
      tf.tidy(() => {
        const images = tf.concat([sloped(step, 3), quarterTurns(sloped(step + 100, 3), 2)])
        return { images, labels: tf.tensor1d([0, 0, 0, 1, 1, 1], 'int32') }
      }),
    )
    expect(reports.at(-1)!.loss).toBeLessThan(0.5 * reports[0]!.loss)
    net.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  it.each([
    ['labels', 4, () => ({ images: sloped(1, 2), labels: tf.zeros<tf.Rank.R1>([2]) })],
    ['labels', 4, () => ({ images: sloped(1, 2), labels: tf.zeros<tf.Rank.R1>([3], 'int32') })],
    ['labels', 3, () => ({ images: sloped(1, 2) })],
    ['images', 4, () => ({ images: tf.zeros<tf.Rank.R4>([1, 8, 6, 1]) })],
    ['x', 4, () => ({ images: tf.zeros<tf.Rank.R4>([1, 8, 8, 2]) })],
  ] as const)('refuses %s that do not fit', async (name, classes, data) => {
    await expect(run(make(classes), data)).rejects.toThrow(new RegExp(`^${name}: expected`))
  })
})

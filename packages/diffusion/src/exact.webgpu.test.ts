import * as tf from '@tensorflow/tfjs-core'
import { BackendError, type Device, key, useBackend } from '@x/core-gpu'
import { checkGradients, expectGolden } from '@x/core-gpu/testing'
import { describe, expect, it } from 'vitest'
import { energyDistance } from './distances/energy-distance.ts'
import { slicedWasserstein } from './distances/sliced-wasserstein.ts'
import { gaussianField } from './distributions/gaussian-field.ts'
import { gaussianMixture } from './distributions/gaussian-mixture.ts'
import { moons } from './distributions/planar-sets.ts'
import { checkDenoiser, recordedField } from './golden/distributions.ts'
import { checkClassifierFree, checkGuidedFlow, checkUpsample } from './golden/guidance.ts'
import { type GoldenRecord, goldenRecord, goldenRecords } from './golden/golden.ts'
import { logLikelihood } from './likelihood/log-likelihood.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

describe.skipIf(!device)(`exact distributions and guidance on webgpu (${where})`, () => {
  const golden: Record<string, (record: GoldenRecord) => Promise<void>> = {
    'gmm/definition': checkDenoiser,
    'guidance/cfg': checkClassifierFree,
    'ug/step': checkUpsample,
  }
  describe.each(Object.entries(golden))('%s as recorded', (kind, compare) => {
    it.each(goldenRecords(kind))('$id', compare)
  })

  it('is led within an interval as recorded', () => checkGuidedFlow(goldenRecord('cfg-gmm-w3-interval0.3-5-heun16')))

  it('draws the same samples as elsewhere, in chunks and by label, and from posteriors', async () => {
    const exact = moons()
    const { x, labels } = exact.sampleLabelled(6, key(1), [0, 1, 0, 1, 0, 1])
    const near = tf.mul(x, 0.999)
    const drawn = exact.samplePosterior(near, 6, key(2), labels)
    const off = tf.max(tf.abs(tf.sub(drawn, x)))
    expect((await off.data())[0]).toBeLessThan(0.4)
    tf.dispose([x, labels, near, drawn, off])
    exact.dispose()
  })

  it('has gradients of mixtures with axes of their own, and of fields', async () => {
    const covariances = [[[0.5, 0.3], [0.3, 0.4]], [[0.2, -0.1], [-0.1, 0.6]]] // prettier-ignore
    const mixture = gaussianMixture({ means: [[1, -0.5], [-1.2, 0.4]], covariances, chunk: 1 }) // prettier-ignore
    const field = gaussianField({ size: [3, 4], spectrum: (v, u) => 1 / (1 + v + u), channels: 2 })
    const [x, images] = [key(3).normal([3, 2]), key(4).normal([2, 3, 4, 2])]
    await checkGradients(({ x }) => mixture.denoise(x, 0.5), { x }, { elements: 2 })
    await checkGradients(({ x }) => mixture.logDensity(x, 0.5), { x }, { elements: 2 })
    await checkGradients(({ images }) => field.denoise(images, 0.5), { images }, { elements: 2 })
    tf.dispose([x, images])
    mixture.dispose()
    field.dispose()
  })

  it('has the likelihood of a Gaussian in closed form', async () => {
    const exact = gaussianMixture({ means: [[0.5, -1, 2]], covariances: 0.3 })
    const x = exact.sample(3, key(5))
    const options = { trace: { key: key(9) }, prior: (y: tf.Tensor) => exact.logDensity(y, 0) }
    const { logLikelihood: got, noise } = await logLikelihood(exact.denoise, x, [0, 0.5, 1], options)
    const wanted = exact.logDensity(x, 1)
    await expectGolden('ln p', got, { shape: [3], values: Array.from(await wanted.data()) }, { abs: 1e-3, rel: 0 })
    tf.dispose([x, got, noise, wanted])
    exact.dispose()
  })

  it('measures distances', async () => {
    const field = recordedField()
    const [a, b] = [field.sample(20, key(6)), field.sample(30, key(7))]
    expect(await slicedWasserstein(a, a, { key: key(8) })).toBe(0)
    expect(Math.abs(await energyDistance(a, a))).toBeLessThan(1e-5)
    expect(await energyDistance(a, b)).toBeGreaterThan(0)
    tf.dispose([a, b])
    field.dispose()
  })
})

import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { key } from '../random/key.ts'
import { checkGradients } from '../testing/finite-differences.ts'
import { countLeaks } from '../testing/leaks.ts'
import { Activation } from './activations.ts'
import { activationCases, layerCases } from './layer-cases.ts'

describe.each(['cpu', 'wasm'] as const)('layers on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend)
  })

  it.each(layerCases)('$name: gradients agree with finite differences', async ({ make, shape, context }) => {
    const layer = make()
    const x = key(1).normal(shape)
    await checkGradients((inputs) => layer.forward(inputs.x!, context), { x, ...layer.parameters() })
    x.dispose()
    layer.dispose()
  })

  it.each(layerCases)('$name: leaves no tensor behind', async ({ make, shape, context }) => {
    const before = tf.memory().numTensors
    const layer = make()
    const x = key(1).normal(shape)
    expect(await countLeaks(() => layer.forward(x, context))).toBe(0)
    expect(x.isDisposed).toBe(false)
    x.dispose()
    layer.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  it.each(activationCases)('%s: values and gradients', async (_name, apply, exact) => {
    // Kinks at 0 are kept clear of.
    const points = [-6, -2.5, -1.3, -0.7, -0.2, 0.2, 0.9, 1.7, 3.1, 8]
    const layer = new Activation(apply)
    const x = tf.tensor1d(points)
    const y = layer.forward(x)
    const got = await y.data()
    points.forEach((point, i) => expect(Math.abs(got[i]! - exact(point))).toBeLessThan(2e-6))
    await checkGradients((inputs) => layer.forward(inputs.x), { x })
    expect(await countLeaks(() => layer.forward(x))).toBe(0)
    tf.dispose([x, y])
  })
})

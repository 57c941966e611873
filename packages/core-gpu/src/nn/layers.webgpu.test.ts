import * as tf from '@tensorflow/tfjs-core'
import { describe, expect, it } from 'vitest'
import type { BackendError } from '../backends/backend-error.ts'
import { useBackend } from '../backends/use-backend.ts'
import { key } from '../random/key.ts'
import { checkGradients } from '../testing/finite-differences.ts'
import { countLeaks } from '../testing/leaks.ts'
import { activationCases, layerCases } from './layer-cases.ts'
import { Embedding } from './embedding.ts'

const absent = await useBackend('webgpu').then(
  () => undefined,
  (error: BackendError) => error.attempts[0]!.reason,
)
const name = absent === undefined ? 'layers on webgpu' : `layers on webgpu (skipped: ${absent})`

describe.skipIf(absent !== undefined)(name, () => {
  it.each(layerCases)('$name: gradients agree with finite differences', async ({ make, shape, context }) => {
    const layer = make()
    const x = key(1).normal(shape)
    await checkGradients((inputs) => layer.forward(inputs.x!, context), { x, ...layer.parameters() }, { elements: 3 })
    expect(await countLeaks(() => layer.forward(x, context))).toBe(0)
    x.dispose()
    layer.dispose()
  })

  it('Embedding: gradients agree with finite differences', async () => {
    const layer = new Embedding(4, 3, { key: key(1) })
    const indices = tf.tensor2d([[3, 0], [1, 3]], [2, 2], 'int32') // prettier-ignore
    await checkGradients(() => layer.forward(indices), { weight: layer.weight }, { elements: 6 })
    layer.dispose()
    indices.dispose()
  })

  it.each(activationCases)('%s: values and gradients', async (_name, apply, exact) => {
    const points = [-6, -2.5, -0.7, -0.2, 0.2, 0.9, 3.1, 8]
    const x = tf.tensor1d(points)
    const y = apply(x)
    const got = await y.data()
    // Graphics cards compute exponentials to fewer digits.
    points.forEach((point, i) => expect(Math.abs(got[i]! - exact(point))).toBeLessThan(2e-5))
    await checkGradients((inputs) => apply(inputs.x), { x }, { elements: 4 })
    tf.dispose([x, y])
  })
})

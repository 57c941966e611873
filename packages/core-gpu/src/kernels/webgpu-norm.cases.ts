import * as tf from '@tensorflow/tfjs-core'
import { expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { groupNorm } from './group-norm/group-norm.ts'
import { layerNorm } from './layer-norm/layer-norm.ts'
import { rmsNorm } from './rms-norm/rms-norm.ts'
import { expectClose, expectNoLeaks, numbers } from './testing.ts'

interface Parameters {
  readonly scale: tf.Tensor | null
  readonly offset: tf.Tensor | null
}

const norms: Record<string, (x: tf.Tensor, parameters: Parameters) => tf.Tensor> = {
  layerNorm: (x, parameters) => layerNorm(x, parameters),
  rmsNorm: (x, { scale }) => rmsNorm(x, { scale }),
  'groupNorm, 1 group': (x, parameters) => groupNorm(x, 1, parameters),
  'groupNorm, 3 groups': (x, parameters) => groupNorm(x, 3, parameters),
}

/** Value and gradients towards x, scale and offset, as far as there are. */
async function run(name: string, shape: number[], which: string, make: typeof tf.tensor): Promise<Float32Array[]> {
  const features = shape.at(-1)!
  const inputs: Record<string, tf.Tensor> = {
    x: make(
      numbers(tf.util.sizeFromShape(shape), 1).map((v) => v * 2 + 1),
      shape,
    ),
    ...(which !== 'plain' && { scale: make(numbers(features, 2), [features]) }),
    ...(which === 'scale and offset' && name !== 'rmsNorm' && { offset: make(numbers(features, 3), [features]) }),
  }
  const names = Object.keys(inputs)
  const dy = make(numbers(tf.util.sizeFromShape(shape), 4), shape)
  const f = (...args: tf.Tensor[]): tf.Tensor => {
    const { x, scale = null, offset = null } = Object.fromEntries(names.map((key, i) => [key, args[i]!]))
    return norms[name]!(x!, { scale, offset })
  }
  const y = f(...Object.values(inputs))
  const gradients = tf.grads(f)(Object.values(inputs), dy)
  const data = await Promise.all([y, ...gradients].map((t) => t.data<'float32'>()))
  tf.dispose([inputs, dy, y, gradients] as tf.TensorContainer)
  return data
}

/** Cases of the norms, on the webgpu backend; the truth is what the operations of cpu give. */
export function normCases(): void {
  for (const name of Object.keys(norms)) {
    it(`${name}: value and gradients`, async () => {
      for (const [shape, which] of [
        [[3, 5, 6], 'scale and offset'],
        [[2, 130, 3], 'scale'],
        [[70, 2, 66], 'scale and offset'],
        [[2, 2, 300], 'plain'],
      ] as const) {
        const got = await run(name, [...shape], which, tf.tensor)
        await useBackend('cpu')
        const expected = await run(name, [...shape], which, tf.tensor)
        await useBackend('webgpu')
        got.forEach((values, i) => expectClose(values, expected[i]!, 2e-5))
        expect(got).toHaveLength(expected.length)
      }
    })
  }

  it('leave no tensor behind', () => {
    const [x, scale] = [tf.tensor2d(numbers(30), [10, 3]), tf.tensor1d(numbers(3))]
    const gradients = tf.grads((...[input, factor]) => tf.sum(layerNorm(input!, { scale: factor! })))
    expectNoLeaks(() => gradients([x, scale]), 5)
    tf.dispose([x, scale])
  })
}

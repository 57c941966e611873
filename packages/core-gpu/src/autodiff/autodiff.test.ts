import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { variable } from '../module/module.ts'
import { countLeaks } from '../testing/leaks.ts'
import { stopGradient } from './stop-gradient.ts'
import { valueAndGradients } from './value-and-gradients.ts'

describe.each(['cpu', 'wasm'] as const)('autodiff on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend)
  })

  it('stopGradient has the values and no derivative', async () => {
    const x = tf.tensor1d([1, 2, 3])
    const g = tf.grad((t) => tf.sum(tf.mul(t, stopGradient(t))))(x)
    expect(Array.from(await g.data())).toEqual([1, 2, 3])
  })

  it('stopGradient outlives what it was made of', async () => {
    const x = tf.tensor1d([1, 2])
    const y = stopGradient(x)
    x.dispose()
    expect(Array.from(await y.data())).toEqual([1, 2])
    y.dispose()
    expect(await countLeaks(() => stopGradient(tf.tidy(() => tf.ones([3]))))).toBe(1)
  })

  it('valueAndGradients gives loss, metrics and gradients by path', async () => {
    const parameters = { a: variable(tf.scalar(3)), b: variable(tf.scalar(2)), unused: variable(tf.scalar(1)) }
    const out = valueAndGradients(parameters, () => {
      const loss = tf.mul(parameters.a, tf.square(parameters.b)) as tf.Scalar
      return { loss, metrics: { loss, half: tf.mul(loss, 0.5) } }
    })
    expect(await out.loss.data()).toEqual(new Float32Array([12]))
    expect(await out.metrics.half!.data()).toEqual(new Float32Array([6]))
    expect(Object.keys(out.gradients)).toEqual(['a', 'b'])
    expect(await out.gradients.a!.data()).toEqual(new Float32Array([4]))
    expect(await out.gradients.b!.data()).toEqual(new Float32Array([12]))
    tf.dispose([out.loss, out.metrics, out.gradients, parameters] as tf.TensorContainer)
  })

  it('hands over tensors that outlive a tidy, each of its own', async () => {
    const parameters = { a: variable(tf.scalar(1)), b: variable(tf.scalar(1)) }
    const out = tf.tidy(() => {
      const made = valueAndGradients(parameters, () => ({ loss: tf.add(parameters.a, parameters.b) }))
      return made as unknown as tf.TensorContainer
    }) as unknown as ReturnType<typeof valueAndGradients>
    out.gradients.a!.dispose()
    expect(await out.gradients.b!.data()).toEqual(new Float32Array([1]))
    tf.dispose([out.loss, out.gradients.b!, parameters] as tf.TensorContainer)
  })

  it('leaves nothing behind, also when the function or its gradient fails', async () => {
    const w = variable(tf.ones([3]))
    const good = (): tf.Scalar => tf.sum(tf.exp(tf.square(w))) as tf.Scalar
    const run = (f: () => tf.Scalar): unknown => {
      try {
        return valueAndGradients({ w }, () => ({ loss: f(), metrics: { one: tf.scalar(1) } }))
      } catch {
        return null
      }
    }
    expect(await countLeaks(() => run(good))).toBe(0)
    const throwing = (): tf.Scalar => {
      tf.dispose(tf.exp(tf.square(w)))
      throw new Error('no loss today')
    }
    expect(await countLeaks(() => run(throwing))).toBe(0)
    // Nothing differentiates a comparison.
    expect(await countLeaks(() => run(() => tf.sum(tf.cast(tf.greater(tf.exp(w), 1), 'float32'))))).toBe(0)
    expect(await countLeaks(() => run(good))).toBe(0)
    w.dispose()
  })

  it('refuses a loss that is no scalar, and nothing to differentiate towards', () => {
    const w = variable(tf.ones([3]))
    expect(() => valueAndGradients({ w }, () => ({ loss: tf.square(w) as never }))).toThrow(
      /loss: expected a scalar, got shape \[3\]/,
    )
    expect(() => valueAndGradients({}, () => ({ loss: tf.scalar(1) }))).toThrow(/parameters: expected at least one/)
    w.dispose()
  })
})

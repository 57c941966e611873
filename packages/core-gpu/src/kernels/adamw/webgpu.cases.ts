import * as tf from '@tensorflow/tfjs-core'
import { expect, it } from 'vitest'
import { expectClose, expectNoLeaks, numbers } from '../testing.ts'
import { type AdamWState, adamwStep } from './adamw.ts'

const options = { learningRate: 0.05, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 }

function start(count: number): AdamWState {
  const variable = (make: () => tf.Tensor): tf.Variable => {
    const value = make()
    const made = tf.variable(value)
    value.dispose() // else it would share the elements
    return made
  }
  return {
    parameter: variable(() => tf.tensor1d(numbers(count, 1))),
    gradient: tf.tensor1d(numbers(count, 2)),
    firstMoment: variable(() => tf.zeros([count])),
    secondMoment: variable(() => tf.zeros([count])),
  }
}

/** The parameter after some steps with one gradient, in float64. */
function expectedAfter(steps: number, count: number): number[] {
  const g = numbers(count, 2)
  return Array.from(numbers(count, 1), (value, i) => {
    let [x, m, v] = [value as number, 0, 0]
    for (let t = 1; t <= steps; t++) {
      m = options.beta1 * m + (1 - options.beta1) * g[i]!
      v = options.beta2 * v + (1 - options.beta2) * g[i]! ** 2
      const root = Math.sqrt(v / (1 - options.beta2 ** t)) + options.epsilon
      x -= options.learningRate * (options.weightDecay * x + m / (1 - options.beta1 ** t) / root)
    }
    return x
  })
}

/** Cases of XAdamW, on the current backend. */
export function adamwCases(): void {
  it.each([1, 31, 256, 1028])('follows the definition for %i numbers', async (count) => {
    const state = start(count)
    for (let step = 1; step <= 5; step++) adamwStep(state, { ...options, step })
    expectClose(await state.parameter.data(), expectedAfter(5, count))
    expectClose(await state.gradient.data(), numbers(count, 2))
    tf.dispose({ ...state })
  })

  it('takes no memory for its results', () => {
    const state = start(1 << 14)
    adamwStep(state, { ...options, step: 1 })
    const { numBytesAllocatedInGPU: before } = tf.memory() as unknown as { numBytesAllocatedInGPU: number }
    for (let step = 2; step < 40; step++) adamwStep(state, { ...options, step })
    const { numBytesAllocatedInGPU: after } = tf.memory() as unknown as { numBytesAllocatedInGPU: number }
    expect(after - before).toBeLessThan(1 << 14) // uniforms only
    tf.dispose({ ...state })
  })

  it('leaves alone what shares elements with the parameter', async () => {
    const state = start(9)
    const copy = tf.clone(state.parameter)
    adamwStep(state, { ...options, step: 1 })
    expectClose(await copy.data(), numbers(9, 1))
    expectClose(await state.parameter.data(), expectedAfter(1, 9))
    tf.dispose([copy])
    tf.dispose({ ...state })
  })

  it('is seen by reads that come after one before it', async () => {
    const state = start(5)
    expectClose(await state.parameter.data(), numbers(5, 1))
    adamwStep(state, { ...options, step: 1 })
    expectClose(await state.parameter.data(), expectedAfter(1, 5))
    tf.dispose({ ...state })
  })

  it('does not let a read under way hide the step', async () => {
    const state = start(5)
    adamwStep(state, { ...options, step: 1 })
    const underWay = state.parameter.data().catch(() => undefined)
    adamwStep(state, { ...options, step: 2 })
    await underWay
    expectClose(await state.parameter.data(), expectedAfter(2, 5))
    tf.dispose({ ...state })
  })

  it('leaks nothing', () => {
    const state = start(100)
    let step = 0
    expectNoLeaks(() => adamwStep(state, { ...options, step: ++step }), 100)
    tf.dispose({ ...state })
  })
}

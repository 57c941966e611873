import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { type AdamWState, adamwStep, adamwSteps } from './adamw.ts'

const options = { learningRate: 0.05, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 }

function start(count: number): AdamWState {
  return {
    parameter: tf.variable(tf.tensor1d(numbers(count, 1))),
    gradient: tf.tensor1d(numbers(count, 2)),
    firstMoment: tf.variable(tf.zeros([count])),
    secondMoment: tf.variable(tf.zeros([count])),
  }
}

/** The parameter after some steps with one gradient, in float64. */
function expectedAfter(steps: number, p: Float32Array, g: Float32Array): number[] {
  return Array.from(p, (value, i) => {
    let [x, m, v] = [value as number, 0, 0]
    for (let t = 1; t <= steps; t++) {
      x *= 1 - options.learningRate * options.weightDecay
      m = options.beta1 * m + (1 - options.beta1) * g[i]!
      v = options.beta2 * v + (1 - options.beta2) * g[i]! ** 2
      const root = Math.sqrt(v / (1 - options.beta2 ** t)) + options.epsilon
      x -= (options.learningRate * (m / (1 - options.beta1 ** t))) / root
    }
    return x
  })
}

describe.each(deviceCases)('adamwStep on $title', (device) => {
  beforeAll(() => useCase(device))

  it.each([1, 3, 4, 31])('follows the definition for %i numbers', (count) => {
    const state = start(count)
    for (let step = 1; step <= 5; step++) adamwStep(state, { ...options, step })
    expectClose(state.parameter.dataSync(), expectedAfter(5, numbers(count, 1), numbers(count, 2)), 1e-5)
    expectClose(state.gradient.dataSync(), numbers(count, 2))
    tf.dispose({ ...state })
  })

  it('steps several parameters, each by its own numbers', () => {
    const counts = [5, 1, 12]
    const states = counts.map(start)
    for (let step = 1; step <= 4; step++)
      adamwSteps(states.map((state, i) => ({ state, options: { ...options, learningRate: 0.05 + i / 10, step } })))
    const alone = counts.map(start)
    alone.forEach((state, i) => {
      for (let step = 1; step <= 4; step++) adamwStep(state, { ...options, learningRate: 0.05 + i / 10, step })
    })
    for (const [i, state] of states.entries())
      for (const name of ['parameter', 'firstMoment', 'secondMoment', 'gradient'] as const)
        expectClose(state[name].dataSync(), alone[i]![name].dataSync())
    expectClose(states[0]!.parameter.dataSync(), expectedAfter(4, numbers(5, 1), numbers(5, 2)), 1e-5)
    adamwSteps([])
    for (const state of [...states, ...alone]) tf.dispose({ ...state })
  })

  it('steps none of several when one is refused', () => {
    const states = [start(3), start(4)]
    const bad = { ...states[1]!, gradient: states[0]!.gradient }
    const updates = [states[0]!, bad].map((state) => ({ state, options: { ...options, step: 1 } }))
    expect(() => adamwSteps(updates)).toThrow(/gradient/)
    expectClose(states[0]!.parameter.dataSync(), numbers(3, 1))
    for (const state of states) tf.dispose({ ...state })
  })

  it('leaves alone what shares data with the parameter', () => {
    const state = start(9)
    const copy = tf.clone(state.parameter)
    adamwStep(state, { ...options, step: 1 })
    expectClose(copy.dataSync(), numbers(9, 1))
    expectClose(state.parameter.dataSync(), expectedAfter(1, numbers(9, 1), numbers(9, 2)), 1e-5)
    copy.dispose()
    tf.dispose({ ...state })
  })

  it('is seen by operations that packed the old weights', () => {
    const x = tf.tensor4d(numbers(2 * 5 * 5 * 3, 4), [2, 5, 5, 3])
    const filter = tf.variable(tf.tensor4d(numbers(3 * 3 * 3 * 4, 5), [3, 3, 3, 4]))
    const zeros = (): tf.Variable => tf.variable(tf.zeros([3, 3, 3, 4]))
    const state = { parameter: filter, gradient: tf.ones([3, 3, 3, 4]), firstMoment: zeros(), secondMoment: zeros() }
    const convolve = (f: tf.Tensor): tf.Tensor => tf.conv2d(x, f as tf.Tensor4D, 1, 'same')
    const before = convolve(filter)
    adamwStep(state, { ...options, step: 1 })
    const fresh = tf.tensor4d(filter.dataSync(), [3, 3, 3, 4])
    const [after, expected] = [convolve(filter), convolve(fresh)]
    expectClose(after.dataSync(), expected.dataSync())
    expect(Math.abs(after.dataSync()[40]! - before.dataSync()[40]!)).toBeGreaterThan(1e-3)
    tf.dispose([x, before, after, fresh, expected])
    tf.dispose(state)
  })

  it('leaks nothing', () => {
    const state = start(100)
    let step = 0
    expectNoLeaks(() => adamwStep(state, { ...options, step: ++step }))
    tf.dispose({ ...state })
  })

  it('refuses other shapes', () => {
    const state = start(4)
    const gradient = tf.zeros([5])
    expect(() => adamwStep({ ...state, gradient }, { ...options, step: 1 })).toThrow(/gradient: .*\[4\].*\[5\]/)
    gradient.dispose()
    tf.dispose({ ...state })
  })
})

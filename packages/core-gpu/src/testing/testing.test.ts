import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { variable } from '../module/module.ts'
import { key } from '../random/key.ts'
import { checkGradients } from './finite-differences.ts'
import { countLeaks } from './leaks.ts'

/** y = x² whose gradient is off by a factor. */
const square = (factor: number): ((x: tf.Tensor) => tf.Tensor) =>
  tf.customGrad((x, save) => {
    ;(save as (tensors: tf.Tensor[]) => void)([x as tf.Tensor])
    return {
      value: tf.square(x as tf.Tensor),
      gradFunc: (dy, saved) => tf.mul(dy, tf.mul((saved as tf.Tensor[])[0]!, 2 * factor)),
    }
  })

describe('checkGradients', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  it('accepts right gradients and refuses those that are off by half a percent', async () => {
    const x = key(1).normal([3, 4])
    await checkGradients((inputs) => square(1)(inputs.x), { x })
    await expect(checkGradients((inputs) => square(1.005)(inputs.x), { x })).rejects.toThrow(
      /gradient of x\[\d, \d\]: expected .* by finite differences, got/,
    )
    x.dispose()
  })

  it('refuses missing and NaN gradients', async () => {
    const x = key(1).normal([3])
    const cut = tf.customGrad((t) => ({ value: tf.square(t as tf.Tensor), gradFunc: (dy) => tf.zerosLike(dy) }))
    await expect(checkGradients((inputs) => cut(inputs.x), { x })).rejects.toThrow(/got 0/)
    const nan = tf.customGrad((t) => ({ value: tf.square(t as tf.Tensor), gradFunc: (dy) => tf.mul(dy, Number.NaN) }))
    await expect(checkGradients((inputs) => nan(inputs.x), { x })).rejects.toThrow(/got NaN/)
    // A variable that the output depends on, but not through the tape.
    const w = variable(tf.scalar(2))
    const constant = (): tf.Tensor => tf.scalar(w.dataSync()[0]!)
    await expect(checkGradients(() => constant(), { w })).rejects.toThrow(/gradient of w\[\]: .* got 0/)
    tf.dispose([x, w])
  })

  it('gives a variable its values back and leaves nothing behind, even when it refuses', async () => {
    const w = variable(tf.tensor1d([1, 2]))
    const good = (): Promise<void> => checkGradients(() => tf.square(w), { w })
    const bad = (): Promise<unknown> => checkGradients(() => square(2)(w), { w }).catch(() => null)
    expect(await countLeaks(good)).toBe(0)
    expect(await countLeaks(bad)).toBe(0)
    expect(Array.from(await w.data())).toEqual([1, 2])
    w.dispose()
  })

  it('takes only float32 inputs', async () => {
    await expect(checkGradients((inputs) => inputs.i, { i: tf.scalar(1, 'int32') })).rejects.toThrow(
      /inputs.i: expected float32, got int32/,
    )
  })
})

describe('countLeaks', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  it('counts what stays, not what is returned or made only once', async () => {
    let cache: tf.Tensor | undefined
    const x = tf.ones([2])
    expect(await countLeaks(() => tf.square(x))).toBe(0)
    expect(await countLeaks(async () => ({ deep: [tf.square(x)] }))).toBe(0)
    expect(await countLeaks(() => void (cache ??= tf.square(x)))).toBe(0)
    expect(await countLeaks(() => void tf.square(tf.square(x)))).toBe(2)
    tf.dispose([x, cache!])
  })
})

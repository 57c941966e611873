import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'

/** A key whose draws are given: the k-th, flat over the samples, where k is the step. */
export function givenNoise(valueOf: (step: number, index: number) => number): Key {
  const sample = (i: number): Key => ({ ...unused, fold: (step) => draws(i, step) })
  const draws = (i: number, step: number): Key => ({ ...unused, fold: () => draw(i, step) })
  const draw = (i: number, step: number): Key => ({
    ...unused,
    normal: (shape) => {
      const size = tf.util.sizeFromShape(shape)
      return tf.tensor(
        Array.from({ length: size }, (_, j) => valueOf(step, i * size + j)),
        shape,
        'float32',
      )
    },
  })
  return { ...unused, fold: sample }
}

const refuse = (): never => {
  throw new Error('this key gives normal noise alone')
}
const unused: Key = {
  split: refuse,
  fold: refuse,
  bits: refuse,
  uniform: refuse,
  normal: refuse,
  integers: refuse,
  permutation: refuse,
}

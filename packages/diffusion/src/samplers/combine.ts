import * as tf from '@tensorflow/tfjs-core'

/** A tensor and what it counts for, in double precision. */
export type Term = readonly [coefficient: number, tensor: tf.Tensor]

/** The sum of coefficient times tensor, all of one shape; a term that counts for nothing is left out. */
export function combine(...terms: readonly Term[]): tf.Tensor {
  return tf.tidy(() => {
    const scaled = terms
      .filter(([coefficient]) => coefficient !== 0)
      .map(([coefficient, tensor]) => (coefficient === 1 ? tensor : tf.mul(tensor, coefficient)))
    if (scaled.length === 0) return tf.zerosLike(terms[0]![1])
    return scaled.length === 1 ? tf.clone(scaled[0]!) : scaled.reduce((sum, term) => tf.add(sum, term))
  })
}

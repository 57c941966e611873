import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '@x/core-gpu'

/** The names of distributions whose distribution functions squash numbers into [0, 1]; `tanh` is (1 + tanh z) / 2. */
export type DistributionName = 'tanh' | 'sigmoid' | 'normal' | 'laplace' | 'cauchy'

export interface Distribution {
  /** the distribution function, differentiable */
  cumulative(z: tf.Tensor): tf.Tensor
  /** of the distribution, where it has one; else what numbers are held to instead */
  readonly variance: number
}

export const distributions: Readonly<Record<DistributionName, Distribution>> = {
  tanh: { cumulative: (z) => tf.div(tf.add(tf.tanh(z), 1), 2), variance: Math.PI ** 2 / 12 },
  sigmoid: { cumulative: (z) => tf.sigmoid(z), variance: Math.PI ** 2 / 3 },
  normal: { cumulative: (z) => tf.div(tf.add(tf.erf(tf.mul(z, Math.SQRT1_2)), 1), 2), variance: 1 },
  laplace: {
    cumulative: (z) => {
      const tail = tf.mul(tf.exp(tf.neg(tf.abs(z))), 0.5)
      return tf.where(tf.greater(stopGradient(z), 0), tf.sub(1, tail), tail)
    },
    variance: 2,
  },
  cauchy: { cumulative: (z) => tf.add(tf.div(tf.atan(z), Math.PI), 0.5), variance: 1 },
}

import * as tf from '@tensorflow/tfjs-core'
import type { AdamWOptions, AdamWState } from './adamw.ts'

/** The step in plain operations. */
export function adamwReference(
  { parameter, gradient, firstMoment, secondMoment }: AdamWState,
  options: AdamWOptions,
): void {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step } = options
  tf.tidy(() => {
    const m = tf.add(tf.mul(firstMoment, beta1), tf.mul(gradient, 1 - beta1))
    const v = tf.add(tf.mul(secondMoment, beta2), tf.mul(tf.square(gradient), 1 - beta2))
    const unbiased = tf.div(m, 1 - beta1 ** step)
    const scale = tf.add(tf.sqrt(tf.div(v, 1 - beta2 ** step)), epsilon)
    const decayed = tf.mul(parameter, 1 - learningRate * weightDecay)
    parameter.assign(tf.sub(decayed, tf.mul(tf.div(unbiased, scale), learningRate)))
    firstMoment.assign(m)
    secondMoment.assign(v)
  })
}

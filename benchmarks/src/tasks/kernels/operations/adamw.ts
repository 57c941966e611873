import * as tf from '@tensorflow/tfjs-core'
import { AdamW } from '@x/core-gpu'
import type { Operation } from '../operations.ts'

/** One step over all parameters; the first, whose memory is measured, makes their moments. */
export const adamw: Operation = (_, { tensors = 1, elements = 1 }, draw) => {
  const each = <T>(make: () => T): Record<string, T> =>
    Object.fromEntries(Array.from({ length: tensors }, (_, index) => [`p${index}`, make()]))
  const parameters = each(() => tf.tidy(() => tf.variable(draw(elements))))
  const gradients = each(() => draw(elements))
  const optimizer = new AdamW({ learningRate: 1e-3, weightDecay: 0.01 })
  return () => {
    optimizer.step(parameters, gradients)
    return []
  }
}

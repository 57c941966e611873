import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'
import type { AdamWOptions } from './adamw.ts'

/** XAdamW: one pass, 4 reads and 3 writes of 4 bytes per element, into new tensors. */
export const adamwTensorFlow: Kernel = ({ parameter, gradient, firstMoment, secondMoment }, attributes, backend) => {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step } = attributes as unknown as AdamWOptions
  // A tensor, not attributes: TensorFlow keeps a compiled operation for every value of an attribute.
  const factors = tf.tensor1d([
    beta1,
    1 - beta1,
    beta2,
    1 - beta2,
    epsilon,
    1 - learningRate * weightDecay,
    learningRate / (1 - beta1 ** step),
    1 / (1 - beta2 ** step),
  ])
  const inputs = [parameter!, gradient!, firstMoment!, secondMoment!, factors]
  const updated = (backend as TensorFlowBackend).executeMultipleOutputs('XAdamW', [], inputs, 3)
  factors.dispose()
  return updated
}

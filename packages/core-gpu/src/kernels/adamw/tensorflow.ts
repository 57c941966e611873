import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'
import type { AdamWOptions } from './adamw.ts'

/** XAdamWSteps: one operation for all, and one pass each, 4 reads and 3 writes of 4 bytes per element, into new tensors. */
export const adamwStepsTensorFlow: Kernel = (inputs, attributes, backend) => {
  const { binding, executeMultipleOutputs } = backend as TensorFlowBackend
  const options = attributes['options'] as readonly AdamWOptions[]
  // A tensor, not attributes: TensorFlow keeps a compiled operation for every value of an attribute.
  const factors = tf.tensor1d(options.flatMap(factorsOf))
  const count = { name: 'N', type: binding.TF_ATTR_INT, value: options.length }
  const tensors = [...Object.values(inputs), factors]
  const updated = executeMultipleOutputs.call(backend, 'XAdamW', [count], tensors, 3 * options.length)
  factors.dispose()
  return updated
}

function factorsOf({ learningRate, beta1, beta2, epsilon, weightDecay, step }: AdamWOptions): number[] {
  return [
    beta1,
    1 - beta1,
    beta2,
    1 - beta2,
    epsilon,
    1 - learningRate * weightDecay,
    learningRate / (1 - beta1 ** step),
    1 / (1 - beta2 ** step),
  ]
}

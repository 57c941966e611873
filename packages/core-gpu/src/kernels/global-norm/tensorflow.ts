import type { Kernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'

/** XSquareSum: one pass over all tensors, in one operation. */
export const squareSumTensorFlow: Kernel = (inputs, _, backend) => {
  const { binding, executeSingleOutput } = backend as TensorFlowBackend
  const tensors = Object.values(inputs)
  const count = { name: 'N', type: binding.TF_ATTR_INT, value: tensors.length }
  return executeSingleOutput.call(backend, 'XSquareSum', [count], tensors)
}

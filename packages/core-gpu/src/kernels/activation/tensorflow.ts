import type { Kernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'

/** XActivationGradient for functions that TensorFlow has a gradient of, in one operation: relu, sigmoid, tanh. */
export const activationGradientTensorFlow: Kernel = ({ x, dy }, { name }, backend) => {
  const { executeSingleOutput } = backend as TensorFlowBackend
  if (name === 'relu') return executeSingleOutput.call(backend, 'ReluGrad', [], [dy!, x!])
  return executeSingleOutput.call(backend, name === 'tanh' ? 'TanhGrad' : 'SigmoidGrad', [], [x!, dy!])
}

import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'

/** tfjs's kernels for two tensors, with TensorFlow's names. */
export const arithmetic: Readonly<Record<string, string>> = {
  [tf.Add]: 'AddV2',
  [tf.Multiply]: 'Mul',
  [tf.RealDiv]: 'RealDiv',
  [tf.SquaredDifference]: 'SquaredDifference',
  [tf.Sub]: 'Sub',
}

/** One of them for float32, without the attributes that TensorFlow finds out by itself: they cost as much as a small sum. */
export function arithmeticTensorFlow(kernelName: string): Kernel {
  const stock = stockKernel('tensorflow', kernelName)
  const operation = arithmetic[kernelName]!
  return ({ a, b }, _, backend) =>
    a!.dtype === 'float32' && b!.dtype === 'float32'
      ? (backend as TensorFlowBackend).executeSingleOutput(operation, [], [a!, b!])
      : stock.kernelFunc({ inputs: { a: a!, b: b! }, attrs: {}, backend })
}

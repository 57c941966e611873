import type * as tf from '@tensorflow/tfjs-core'

/** An attribute of a TensorFlow operation. */
interface OperationAttribute {
  readonly name: string
  readonly type: number
  readonly value: unknown
}

/** The parts of tfjs-node 4.22 that own kernels use. */
export interface TensorFlowBackend extends tf.KernelBackend {
  readonly binding: { readonly TF_ATTR_INT: number }
  executeSingleOutput(
    name: string,
    attributes: readonly OperationAttribute[],
    inputs: readonly tf.TensorInfo[],
  ): tf.Tensor
  executeMultipleOutputs(
    name: string,
    attributes: readonly OperationAttribute[],
    inputs: readonly tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[]
}

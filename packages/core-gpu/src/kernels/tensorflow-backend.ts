import type * as tf from '@tensorflow/tfjs-core'

/** An attribute of a TensorFlow operation. */
interface OperationAttribute {
  readonly name: string
  readonly type: number
  readonly value: unknown
}

/** The parts of tfjs-node 4.22 that own kernels use. */
export interface TensorFlowBackend extends tf.KernelBackend {
  readonly binding: {
    readonly TF_ATTR_INT: number
    readonly TF_INT32: number
    createTensor(shape: number[], type: number, values: Int32Array): number
    deleteTensor(id: number): void
    executeOp(name: string, attributes: readonly OperationAttribute[], inputs: number[], outputs: number): object[]
  }
  createOutputTensor(metadata: object): tf.Tensor
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[]
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

import * as tf from '@tensorflow/tfjs-core'
import { correctCalls, correctKernels } from './corrections.ts'
import { installMissingKernels } from './missing-kernels.ts'
import { nameRefusals } from './refusals/refusals.ts'
import { restoreKernels } from './registry.ts'

/** Puts right what TensorFlow's kernels get wrong; they are the fastest there are, so none is replaced for speed. */
export function installTensorFlowKernels(): void {
  restoreKernels('tensorflow')
  correctKernels('tensorflow')
  installMissingKernels('tensorflow')
  correctCalls('tensorflow')
  // TensorFlow has no processor version of some strides, dilations and paddings.
  nameRefusals('tensorflow', [
    tf.AvgPool,
    tf.AvgPoolGrad,
    tf.DepthwiseConv2dNative,
    tf.DepthwiseConv2dNativeBackpropFilter,
    tf.DepthwiseConv2dNativeBackpropInput,
    tf.MaxPool,
    tf.MaxPoolGrad,
    tf.SparseToDense,
  ])
}

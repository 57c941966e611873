import * as tf from '@tensorflow/tfjs-core'
import type { KernelSet } from '../backends/device.ts'
import { activationGradientTensorFlow } from './activation/tensorflow.ts'
import { adamwStepsTensorFlow } from './adamw/tensorflow.ts'
import { arithmetic, arithmeticTensorFlow } from './arithmetic/tensorflow.ts'
import { convolutionTensorFlow } from './conv2d/tensorflow.ts'
import { correctCalls, correctKernels } from './corrections.ts'
import { squareSumTensorFlow } from './global-norm/tensorflow.ts'
import { castTensorFlow, reshapeTensorFlow } from './identity/tensorflow.ts'
import { gatherRowsTensorFlow } from './lookup/tensorflow.ts'
import { meanSquaredErrorGradientTensorFlow, meanSquaredErrorTensorFlow } from './mean-squared-error/tensorflow.ts'
import { matMulTensorFlow } from './matmul/tensorflow.ts'
import { installMissingKernels } from './missing-kernels.ts'
import { nearestCodeTensorFlow } from './nearest-code/tensorflow.ts'
import { nameRefusals } from './refusals/refusals.ts'
import { replaceKernel, restoreKernels } from './registry.ts'
import { resizeBilinearGradCpu, resizeNearestNeighborGradCpu } from './resize-gradients/cpu.ts'
import { segmentSumTensorFlow } from './segment-sum/tensorflow.ts'

const convolutions = [
  tf.Conv2D,
  tf.Conv2DBackpropFilter,
  tf.Conv2DBackpropInput,
  tf.DepthwiseConv2dNative,
  tf.DepthwiseConv2dNativeBackpropFilter,
  tf.DepthwiseConv2dNativeBackpropInput,
  tf.FusedConv2D,
]

// TensorFlow has no processor version of some of their strides, dilations and paddings, or takes sorted indices only.
const partial = [
  tf.AvgPool,
  tf.AvgPoolGrad,
  tf.DepthwiseConv2dNative,
  tf.DepthwiseConv2dNativeBackpropFilter,
  tf.DepthwiseConv2dNativeBackpropInput,
  tf.MaxPool,
  tf.MaxPoolGrad,
  tf.SparseToDense,
]

/**
 * Registers the kernels of the tensorflow backend.
 * @param operations whether the binding has the operations of native/kernels.cc
 */
export function installTensorFlowKernels(kernels: KernelSet, operations: boolean): void {
  restoreKernels('tensorflow')
  if (kernels === 'own') {
    correctKernels('tensorflow')
    for (const kernelName of convolutions) replaceKernel('tensorflow', kernelName, convolutionTensorFlow(kernelName))
    replaceKernel('tensorflow', tf.Cast, castTensorFlow())
    replaceKernel('tensorflow', tf.ResizeBilinearGrad, resizeBilinearGradCpu)
    replaceKernel('tensorflow', tf.ResizeNearestNeighborGrad, resizeNearestNeighborGradCpu)
    replaceKernel('tensorflow', tf.UnsortedSegmentSum, segmentSumTensorFlow(operations))
    replaceKernel('tensorflow', 'XActivationGradient', activationGradientTensorFlow)
    replaceKernel('tensorflow', 'XNearestCode', nearestCodeTensorFlow(operations))
    if (operations) {
      for (const kernelName of Object.keys(arithmetic))
        replaceKernel('tensorflow', kernelName, arithmeticTensorFlow(kernelName))
      replaceKernel('tensorflow', tf.BatchMatMul, matMulTensorFlow())
      replaceKernel('tensorflow', tf.Reshape, reshapeTensorFlow)
      replaceKernel('tensorflow', 'XAdamWSteps', adamwStepsTensorFlow)
      replaceKernel('tensorflow', 'XGatherRows', gatherRowsTensorFlow)
      replaceKernel('tensorflow', 'XMeanSquaredError', meanSquaredErrorTensorFlow)
      replaceKernel('tensorflow', 'XMeanSquaredErrorGradient', meanSquaredErrorGradientTensorFlow)
      replaceKernel('tensorflow', 'XSquareSum', squareSumTensorFlow)
    }
  }
  installMissingKernels('tensorflow')
  if (kernels === 'own') {
    correctCalls('tensorflow')
    nameRefusals('tensorflow', partial)
  }
}

import * as tf from '@tensorflow/tfjs-core'
import type { ConvAttributes } from './conv2d/geometry.ts'
import { filterGradientReference } from './conv2d/reference.ts'
import { depthwiseFilterGradientReference, depthwiseInputGradientReference } from './depthwise-gradients/reference.ts'
import { einsum } from './einsum/einsum.ts'
import { replaceWithOperations } from './registry.ts'
import { segmentSumReference } from './segment-sum/reference.ts'

type Operations = (inputs: Record<string, tf.Tensor>, attributes: Record<string, unknown>) => tf.Tensor

// What training needs and some backends lack, in plain operations.
const operations: Record<string, Operations> = {
  [tf.Conv2DBackpropFilter]: ({ x, dy }, attributes) =>
    filterGradientReference(
      x as tf.Tensor4D,
      dy as tf.Tensor4D,
      attributes['filterShape'] as number[],
      attributes as unknown as ConvAttributes,
    ),
  [tf.DepthwiseConv2dNativeBackpropInput]: ({ dy, filter }, attributes) =>
    depthwiseInputGradientReference(
      dy as tf.Tensor4D,
      filter as tf.Tensor4D,
      attributes['inputShape'] as number[],
      attributes as unknown as ConvAttributes,
    ),
  [tf.DepthwiseConv2dNativeBackpropFilter]: ({ x, dy }, attributes) =>
    depthwiseFilterGradientReference(
      x as tf.Tensor4D,
      dy as tf.Tensor4D,
      attributes['filterShape'] as [number, number, number, number],
      attributes as unknown as ConvAttributes,
    ),
  [tf.Einsum]: einsum,
  [tf.UnsortedSegmentSum]: ({ x, segmentIds }, attributes) =>
    segmentSumReference(x!, segmentIds as tf.Tensor1D, attributes['numSegments'] as number),
}

/** Registers a plain version of each kernel that training needs and the backend lacks. */
export function installMissingKernels(backendName: string): void {
  for (const [kernelName, plain] of Object.entries(operations)) {
    if (!tf.getKernel(kernelName, backendName)) replaceWithOperations(backendName, kernelName, plain)
  }
}

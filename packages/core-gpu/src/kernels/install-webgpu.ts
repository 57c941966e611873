import * as tf from '@tensorflow/tfjs-core'
import type { KernelSet } from '../backends/device.ts'
import { correctCalls, correctKernels } from './corrections.ts'
import { einsum } from './einsum/einsum.ts'
import { installMissingKernels } from './missing-kernels.ts'
import { avgPoolGrad } from './pool-gradients/pool-gradients.ts'
import { replaceKernel, replaceWithOperations, restoreKernels } from './registry.ts'
import { segmentSumWebgpu } from './segment-sum/webgpu.ts'

/** Registers the kernels of the webgpu backend. */
export function installWebgpuKernels(kernels: KernelSet): void {
  restoreKernels('webgpu')
  if (kernels === 'own') {
    correctKernels('webgpu')
    replaceKernel('webgpu', tf.AvgPoolGrad, avgPoolGrad('webgpu'))
    replaceWithOperations('webgpu', tf.Einsum, einsum)
    replaceKernel('webgpu', tf.UnsortedSegmentSum, segmentSumWebgpu())
  }
  installMissingKernels('webgpu')
  if (kernels === 'own') correctCalls('webgpu')
}

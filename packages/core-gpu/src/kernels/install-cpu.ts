import * as tf from '@tensorflow/tfjs-core'
import type { KernelSet } from '../backends/device.ts'
import { correctCalls, correctKernels } from './corrections.ts'
import { einsum } from './einsum/einsum.ts'
import { gatherRowsCpu } from './lookup/cpu.ts'
import { installMissingKernels } from './missing-kernels.ts'
import { replaceKernel, replaceWithOperations, restoreKernels } from './registry.ts'
import { avgPoolGrad } from './pool-gradients/pool-gradients.ts'
import { resizeBilinearGradCpu, resizeNearestNeighborGradCpu } from './resize-gradients/cpu.ts'
import { segmentSumCpu } from './segment-sum/cpu.ts'

/** Registers the kernels of the cpu backend. */
export function installCpuKernels(kernels: KernelSet): void {
  restoreKernels('cpu')
  if (kernels === 'own') {
    correctKernels('cpu')
    replaceKernel('cpu', tf.AvgPoolGrad, avgPoolGrad('cpu'))
    replaceWithOperations('cpu', tf.Einsum, einsum)
    replaceKernel('cpu', tf.ResizeBilinearGrad, resizeBilinearGradCpu)
    replaceKernel('cpu', tf.ResizeNearestNeighborGrad, resizeNearestNeighborGradCpu)
    replaceKernel('cpu', tf.UnsortedSegmentSum, segmentSumCpu)
    replaceKernel('cpu', 'XGatherRows', gatherRowsCpu)
  }
  installMissingKernels('cpu')
  if (kernels === 'own') correctCalls('cpu')
}

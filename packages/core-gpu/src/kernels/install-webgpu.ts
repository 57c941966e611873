import * as tf from '@tensorflow/tfjs-core'
import type { KernelSet } from '../backends/device.ts'
import { adamwWebgpu } from './adamw/webgpu.ts'
import { attendGradientWebgpu } from './attend/webgpu-gradient.ts'
import { attendWebgpu } from './attend/webgpu.ts'
import { correctCalls, correctKernels } from './corrections.ts'
import { einsum } from './einsum/einsum.ts'
import { packHalfWebgpu, unpackHalfWebgpu } from './half/webgpu.ts'
import { gatherRowsWebgpu } from './lookup/webgpu.ts'
import { installMissingKernels } from './missing-kernels.ts'
import { nearestCodeWebgpu } from './nearest-code/webgpu.ts'
import { avgPoolGrad } from './pool-gradients/pool-gradients.ts'
import { replaceKernel, replaceWithOperations, restoreKernels } from './registry.ts'
import { rotaryWebgpu } from './rope/webgpu.ts'
import { segmentSumWebgpu } from './segment-sum/webgpu.ts'
import { normGradientWebgpu, normWebgpu } from './webgpu-norm.ts'

/** Registers the kernels of the webgpu backend. */
export function installWebgpuKernels(kernels: KernelSet): void {
  restoreKernels('webgpu')
  if (kernels === 'own') {
    correctKernels('webgpu')
    replaceKernel('webgpu', tf.AvgPoolGrad, avgPoolGrad('webgpu'))
    replaceWithOperations('webgpu', tf.Einsum, einsum)
    replaceKernel('webgpu', tf.UnsortedSegmentSum, segmentSumWebgpu)
    replaceKernel('webgpu', 'XAdamW', adamwWebgpu)
    replaceKernel('webgpu', 'XAttend', attendWebgpu)
    replaceKernel('webgpu', 'XAttendCached', attendWebgpu)
    replaceKernel('webgpu', 'XAttendCachedHalf', attendWebgpu)
    replaceKernel('webgpu', 'XAttendGradient', attendGradientWebgpu)
    replaceKernel('webgpu', 'XGatherRows', gatherRowsWebgpu)
    replaceKernel('webgpu', 'XGroupNorm', normWebgpu('deviation'))
    replaceKernel('webgpu', 'XGroupNormGradient', normGradientWebgpu('deviation'))
    replaceKernel('webgpu', 'XLayerNorm', normWebgpu('deviation'))
    replaceKernel('webgpu', 'XLayerNormGradient', normGradientWebgpu('deviation'))
    replaceKernel('webgpu', 'XNearestCode', nearestCodeWebgpu)
    replaceKernel('webgpu', 'XPackHalf', packHalfWebgpu)
    replaceKernel('webgpu', 'XRmsNorm', normWebgpu('rootMeanSquare'))
    replaceKernel('webgpu', 'XRmsNormGradient', normGradientWebgpu('rootMeanSquare'))
    replaceKernel('webgpu', 'XRotary', rotaryWebgpu)
    replaceKernel('webgpu', 'XUnpackHalf', unpackHalfWebgpu)
  }
  installMissingKernels('webgpu')
  if (kernels === 'own') correctCalls('webgpu')
}

import * as tf from '@tensorflow/tfjs-core'
import { castWasm } from './cast/wasm.ts'
import { conv3dFilterGradientWasm, conv3dInputGradientWasm } from './conv3d-gradients/wasm.ts'
import { dilation2d, dilation2dGradient } from './dilation2d/dilation2d.ts'
import { fillEmptyReductions } from './empty-reductions/empty-reductions.ts'
import { reshapeReductions } from './empty-reductions/reduced-shapes.ts'
import { axisByAxis, flattenHighRanks } from './high-ranks/webgpu.ts'
import { activateApart } from './fused-activations/wasm.ts'
import { gatherFromBack } from './gather/negative-axis.ts'
import { batchedGather } from './gather/batched-gather.ts'
import { broadcastMatMul } from './matmul/cpu.ts'
import { spellOutNumericPadding, spellOutSamePaddingWasm } from './padding/numeric-padding.ts'
import { cropUnseen3d } from './padding/same-padding3d.ts'
import { avgPool3dGradEnlarged } from './pool3d/average-gradient.ts'
import { avgPool3dGrad, maxPool3d, maxPool3dGrad } from './pool3d/pool3d.ts'
import { prelu } from './prelu/prelu.ts'
import { refuseKernel } from './refusals/refusals.ts'
import { type Kernel, replaceKernel, replaceWithOperations } from './registry.ts'
import { halfPixelResizeGradients } from './resize-gradients/matrices.ts'
import { reverseScan } from './scans/reverse-scan.ts'
import { withoutUpdates } from './scatter-update/no-updates.ts'
import { tensorScatterUpdateCpu } from './scatter-update/cpu.ts'

// Kernels whose results are wrong in tfjs, as the differential tests found; each file says what is wrong.
type Corrected = 'cpu' | 'tensorflow' | 'wasm' | 'webgpu'

const corrected: Record<Corrected, () => Record<string, Kernel>> = {
  cpu: () => ({
    [tf.AvgPool3DGrad]: avgPool3dGrad,
    [tf.BatchMatMul]: broadcastMatMul('cpu'),
    [tf.MaxPool3DGrad]: maxPool3dGrad,
    [tf.TensorScatterUpdate]: tensorScatterUpdateCpu(),
  }),
  tensorflow: () => ({
    [tf.GatherV2]: gatherFromBack(),
  }),
  wasm: () => ({
    [tf.AvgPool3DGrad]: avgPool3dGrad,
    [tf.Cast]: castWasm(),
    [tf.Conv3DBackpropFilterV2]: conv3dFilterGradientWasm,
    [tf.Conv3DBackpropInputV2]: conv3dInputGradientWasm,
    [tf.Dilation2D]: dilation2d,
    [tf.Dilation2DBackpropFilter]: dilation2dGradient('filter'),
    [tf.Dilation2DBackpropInput]: dilation2dGradient('input'),
    [tf.GatherV2]: batchedGather('wasm'),
    [tf.MaxPool3D]: maxPool3d,
    [tf.MaxPool3DGrad]: maxPool3dGrad,
  }),
  webgpu: () => ({
    ...axisByAxis(),
    ...halfPixelResizeGradients('webgpu'),
    [tf.AvgPool3DGrad]: avgPool3dGradEnlarged('webgpu'),
    [tf.Cumprod]: reverseScan(tf.Cumprod),
    [tf.Cumsum]: reverseScan(tf.Cumsum),
    [tf.ScatterNd]: withoutUpdates('webgpu', tf.ScatterNd),
    [tf.TensorScatterUpdate]: withoutUpdates('webgpu', tf.TensorScatterUpdate),
  }),
}

/** Replaces the kernels of a backend that are wrong as a whole. Before any own kernel that hands cases back to them. */
export function correctKernels(backendName: Corrected): void {
  for (const [kernelName, kernel] of Object.entries(corrected[backendName]()))
    replaceKernel(backendName, kernelName, kernel)
  if (backendName === 'wasm' || backendName === 'tensorflow') replaceWithOperations(backendName, tf.Prelu, prelu)
  if (backendName === 'webgpu') refuseKernel('webgpu', tf.MaxPool3DGrad, 'use avgPool3d, or the wasm backend')
}

/** Puts right what kernels, stock or own, are told: paddings, activations, nothing to reduce. After all others. */
export function correctCalls(backendName: Corrected): void {
  spellOutNumericPadding(backendName)
  cropUnseen3d(backendName)
  fillEmptyReductions(backendName)
  if (backendName === 'webgpu') {
    flattenHighRanks()
    reshapeReductions()
  }
  if (backendName !== 'wasm') return
  spellOutSamePaddingWasm()
  activateApart()
}

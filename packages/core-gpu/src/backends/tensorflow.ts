import type { BackendLoader } from './device.ts'
import { installTensorFlowKernels } from '../kernels/install-tensorflow.ts'
import { openTensorFlow } from './tensorflow-package.ts'

/** TensorFlow's CPU library, through `@tensorflow/tfjs-node` or what `x-core setup-tensorflow` built. */
export const tensorflow: BackendLoader = {
  install:
    'npx x-core setup-tensorflow, or npm install @tensorflow/tfjs-node (it downloads the TensorFlow library while installing)',
  async open({ kernels = 'own', ...options }) {
    const { usesGpu, operations, description } = await openTensorFlow('tensorflow', options)
    if (usesGpu) throw new Error('this process already holds the GPU build of TensorFlow; use a new process')
    installTensorFlowKernels(kernels, operations)
    return { ...description, kernels }
  },
}

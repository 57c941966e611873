import type { BackendLoader } from './device.ts'
import { installTensorFlowKernels } from '../kernels/install-tensorflow.ts'
import { openTensorFlow } from './tensorflow-package.ts'

/** TensorFlow's CUDA library, through `@tensorflow/tfjs-node-gpu` or what `x-core setup-tensorflow --gpu` built. */
export const tensorflowGpu: BackendLoader = {
  install:
    'npx x-core setup-tensorflow --gpu, or npm install @tensorflow/tfjs-node-gpu, beside an NVIDIA driver and CUDA',
  async open({ kernels = 'own', ...options }) {
    const { usesGpu, description } = await openTensorFlow('tensorflow-gpu', options)
    if (!usesGpu) throw new Error('TensorFlow found no GPU')
    // Own operations run on the processor: tensors would travel.
    installTensorFlowKernels(kernels, false)
    return { ...description, adapter: 'CUDA', kernels }
  },
}

import type { BackendLoader } from './device.ts'
import { openTensorFlow } from './tensorflow-package.ts'

/** TensorFlow's CUDA library, through `@tensorflow/tfjs-node-gpu`. */
export const tensorflowGpu: BackendLoader = {
  install: 'npm install @tensorflow/tfjs-node-gpu, beside an NVIDIA driver and CUDA',
  async open({ from }) {
    const { usesGpu, description } = await openTensorFlow('@tensorflow/tfjs-node-gpu', from)
    if (!usesGpu) throw new Error('TensorFlow found no GPU')
    return { ...description, adapter: 'CUDA' }
  },
}

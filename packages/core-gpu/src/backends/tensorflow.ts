import type { BackendLoader } from './device.ts'
import { openTensorFlow } from './tensorflow-package.ts'

/** TensorFlow's CPU library, through `@tensorflow/tfjs-node`. */
export const tensorflow: BackendLoader = {
  install: 'npm install @tensorflow/tfjs-node (it downloads the TensorFlow library while installing)',
  async open({ from }) {
    const { usesGpu, description } = await openTensorFlow('@tensorflow/tfjs-node', from)
    if (usesGpu) throw new Error('this process already holds the GPU build of TensorFlow; use a new process')
    return description
  },
}

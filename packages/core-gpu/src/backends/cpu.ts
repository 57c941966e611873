import * as tf from '@tensorflow/tfjs-core'
import { installCpuKernels } from '../kernels/install-cpu.ts'
import type { BackendLoader } from './device.ts'

/** Plain JavaScript, anywhere. */
export const cpu: BackendLoader = {
  install: 'npm install @tensorflow/tfjs-backend-cpu',
  async open({ kernels = 'own' }) {
    const { version_cpu: version } = await import('@tensorflow/tfjs-backend-cpu')
    installCpuKernels(kernels)
    if (!(await tf.setBackend('cpu'))) throw new Error('it did not start')
    return {
      versions: { '@tensorflow/tfjs-core': tf.version_core, '@tensorflow/tfjs-backend-cpu': version },
      threads: 1,
      simd: null,
      adapter: null,
      kernels,
    }
  },
}

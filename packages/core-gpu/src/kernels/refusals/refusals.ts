import * as tf from '@tensorflow/tfjs-core'
import { replaceKernel } from '../registry.ts'

/** Lets an operation that a backend gets wrong throw instead. */
export function refuseKernel(backendName: string, kernelName: string, instead: string): void {
  replaceKernel(backendName, kernelName, () => {
    throw new Error(`${kernelName}: the ${backendName} backend computes this wrong; ${instead}`)
  })
}

/** Names the operation and the backend in the errors of kernels that do not know every case. */
export function nameRefusals(backendName: string, kernelNames: readonly string[]): void {
  for (const kernelName of kernelNames) {
    const kernel = tf.getKernel(kernelName, backendName)
    if (!kernel) continue
    replaceKernel(backendName, kernelName, (inputs, attributes, backend) => {
      try {
        return kernel.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        throw new Error(`${kernelName}: the ${backendName} backend cannot do this: ${reason}`, { cause: error })
      }
    })
  }
}

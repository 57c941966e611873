import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'

/** The product of two float32 matrices by our own operation; batches and other types by TensorFlow's. */
export function matMulTensorFlow(): Kernel {
  const stock = stockKernel('tensorflow', tf.BatchMatMul)
  return ({ a, b }, { transposeA, transposeB }, backend) => {
    if (a!.rank !== 2 || b!.rank !== 2 || a!.dtype !== 'float32' || b!.dtype !== 'float32')
      return stock.kernelFunc({
        inputs: { a: a!, b: b! },
        attrs: { transposeA, transposeB } as unknown as tf.NamedAttrMap,
        backend,
      })
    const form = `${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}`
    return (backend as TensorFlowBackend).executeSingleOutput(`XMatMul${form}`, [], [a!, b!])
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'

/** TensorScatterUpdate into a copy; tfjs's own writes into its input. */
export function tensorScatterUpdateCpu(): Kernel {
  const stock = stockKernel('cpu', tf.TensorScatterUpdate)
  return ({ tensor, indices, updates }, attributes, backend) => {
    const copy = makeOutput(backend, tensor!.shape, tensor!.dtype, values(backend, tensor!).slice())
    const inputs = { tensor: copy, indices: indices!, updates: updates! }
    const out = stock.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend }) as tf.TensorInfo
    backend.disposeData(copy.dataId)
    return out
  }
}

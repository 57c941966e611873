import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'

/** Cast, without a copy where the type stays as it is. */
export function castTensorFlow(): Kernel {
  return sharingWhere(tf.Cast, (x, { dtype }) => x.dtype === dtype)
}

/** Reshape, without an operation where the shape stays as it is. */
export function reshapeTensorFlow(): Kernel {
  return sharingWhere(tf.Reshape, (x, { shape }) => tf.util.arraysEqual(x.shape, shape as number[]))
}

/** The stock kernel, except that its result shares the data of `x` where nothing changes. */
function sharingWhere(
  kernelName: string,
  unchanged: (x: tf.Tensor, attributes: Record<string, unknown>) => boolean,
): Kernel {
  const stock = stockKernel('tensorflow', kernelName)
  return ({ x }, attributes, backend) => {
    if (!unchanged(x!, attributes))
      return stock.kernelFunc({ inputs: { x: x! }, attrs: attributes as tf.NamedAttrMap, backend })
    backend.incRef(x!.dataId)
    return { dataId: x!.dataId, shape: x!.shape, dtype: x!.dtype }
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'

// TensorFlow takes the new shape as a tensor: these are kept, outside tfjs's count, as the same few come in every step.
const shapeHandles = new Map<string, number>()
const mostShapes = 1024

/** Cast, without a copy where the type stays as it is. */
export function castTensorFlow(): Kernel {
  const stock = stockKernel('tensorflow', tf.Cast)
  return ({ x }, attributes, backend) =>
    x!.dtype === attributes['dtype']
      ? sameData(x!, backend)
      : stock.kernelFunc({ inputs: { x: x! }, attrs: attributes as tf.NamedAttrMap, backend })
}

/** Reshape, without an operation where the shape stays as it is. */
export const reshapeTensorFlow: Kernel = ({ x }, { shape }, backend) => {
  const wanted = shape as number[]
  if (tf.util.arraysEqual(x!.shape, wanted)) return sameData(x!, backend)
  const { binding } = backend as TensorFlowBackend
  const inputs = [...(backend as TensorFlowBackend).getInputTensorIds([x!]), shapeHandle(binding, wanted)]
  return (backend as TensorFlowBackend).createOutputTensor(binding.executeOp('Reshape', [], inputs, 1)[0]!)
}

function shapeHandle(binding: TensorFlowBackend['binding'], shape: number[]): number {
  const name = shape.join()
  let handle = shapeHandles.get(name)
  if (handle === undefined) {
    if (shapeHandles.size >= mostShapes) {
      for (const old of shapeHandles.values()) binding.deleteTensor(old)
      shapeHandles.clear()
    }
    handle = binding.createTensor([shape.length], binding.TF_INT32, Int32Array.from(shape))
    shapeHandles.set(name, handle)
  }
  return handle
}

function sameData(x: tf.Tensor, backend: tf.KernelBackend): tf.TensorInfo {
  backend.incRef(x.dataId)
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype }
}

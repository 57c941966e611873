import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel, tensorOf } from '../registry.ts'

/** BatchMatMul for batches that broadcast in both directions: repeated first. tfjs's own takes the wrong matrices. */
export function broadcastMatMul(backendName: string): Kernel {
  const stock = stockKernel(backendName, tf.BatchMatMul)
  return (inputs, attributes, backend) => {
    const [a, b] = [inputs['a']!, inputs['b']!]
    const run = (a: tf.Tensor, b: tf.Tensor): tf.TensorInfo =>
      stock.kernelFunc({ inputs: { a, b }, attrs: attributes as tf.NamedAttrMap, backend }) as tf.TensorInfo
    const [left, right] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
    if (tf.util.arraysEqual(left, right)) return run(a, b)
    const batch = tf.broadcast_util.assertAndGetBroadcastShape(left, right)
    return tf.tidy(() =>
      tensorOf(
        run(tf.broadcastTo(a, [...batch, ...a.shape.slice(-2)]), tf.broadcastTo(b, [...batch, ...b.shape.slice(-2)])),
      ),
    )
  }
}

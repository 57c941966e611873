import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'

/** Cast whose truth values are 0 and 1; tfjs's own keeps the whole part of the number. */
export function castWasm(): Kernel {
  const stock = stockKernel('wasm', tf.Cast)
  return (inputs, attributes, backend) => {
    const x = inputs['x']!
    if (attributes['dtype'] !== 'bool' || x.dtype === 'bool')
      return stock.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
    return tf.tidy(() => tf.notEqual(x, tf.zeros([], x.dtype)))
  }
}

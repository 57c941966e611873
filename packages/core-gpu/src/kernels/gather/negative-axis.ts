import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'

/** GatherV2 along an axis counted from the back, which tfjs-node takes for one that is not there. */
export function gatherFromBack(): Kernel {
  const stock = stockKernel('tensorflow', tf.GatherV2)
  return (inputs, attributes, backend) => {
    const [axis] = tf.util.parseAxisParam(attributes['axis'] as number, inputs['x']!.shape)
    return stock.kernelFunc({ inputs, attrs: { ...attributes, axis } as tf.NamedAttrMap, backend })
  }
}

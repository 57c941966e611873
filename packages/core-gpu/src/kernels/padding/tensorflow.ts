import * as tf from '@tensorflow/tfjs-core'
import { replaceKernel, stockKernel, tensorOf } from '../registry.ts'

const { Conv2D, Conv2DBackpropFilter, Conv2DBackpropInput, FusedConv2D } = tf

/** Convolutions of TensorFlow whose padding is spelled out: over an input that is padded first. tfjs-node does not hand it on. */
export function padFirstTensorFlow(): void {
  wrap(Conv2D, ({ x }, attributes, run) => run({ x: padded(x!, attributes) }, { pad: 'valid' }))
  wrap(FusedConv2D, ({ x }, attributes, run) => run({ x: padded(x!, attributes) }, { pad: 'valid' }))
  wrap(Conv2DBackpropFilter, ({ x }, attributes, run) => run({ x: padded(x!, attributes) }, { pad: 'valid' }))
  wrap(Conv2DBackpropInput, (_, attributes, run) => {
    const shape = attributes['inputShape'] as [number, number, number, number]
    const [, [top, bottom], [left, right]] = attributes['pad'] as tf.backend_util.ExplicitPadding
    const inputShape = [shape[0], shape[1] + top + bottom, shape[2] + left + right, shape[3]]
    return tf.slice(run({}, { pad: 'valid', inputShape }), [0, top, left, 0], shape)
  })
}

type Inputs = Record<string, tf.Tensor>
type Run = (inputs: Inputs, attributes: Record<string, unknown>) => tf.Tensor

function wrap(
  kernelName: string,
  withPadding: (inputs: Inputs, attributes: Record<string, unknown>, run: Run) => tf.Tensor,
): void {
  if (!tf.getKernel(kernelName, 'tensorflow')) return
  const stock = stockKernel('tensorflow', kernelName)
  replaceKernel('tensorflow', kernelName, (inputs, attributes, backend) => {
    const run: Run = (changed, told) =>
      tensorOf(
        stock.kernelFunc({
          inputs: { ...inputs, ...changed },
          attrs: { ...attributes, ...told } as tf.NamedAttrMap,
          backend,
        }) as tf.TensorInfo,
      )
    if (!Array.isArray(attributes['pad']) || attributes['dataFormat'] === 'NCHW')
      return stock.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
    return tf.tidy(() => withPadding(inputs, attributes, run))
  })
}

function padded(x: tf.Tensor, { pad }: Record<string, unknown>): tf.Tensor {
  return tf.pad(x, pad as tf.backend_util.ExplicitPadding)
}

import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import { pairOf, spreadTaps } from './dilated-gradients.ts'
import { type ConvAttributes, type ConvGeometry, convGeometry } from './geometry.ts'

type Shape = [number, number, number, number]
type Padding = [[number, number], [number, number], [number, number], [number, number]]
type Inputs = Record<string, tf.Tensor>
type Attributes = Record<string, unknown>
type Run = (inputs: Inputs, attributes: Attributes) => tf.Tensor

/**
 * A kernel of tfjs-node for a convolution or one of its gradients, for any padding and dilation.
 *
 * The stock ones refuse padding that is neither `same` nor `valid`, and TensorFlow a dilated depthwise convolution.
 */
export function convolutionTensorFlow(kernelName: string): Kernel {
  const stock = stockKernel('tensorflow', kernelName)
  const depthwise = kernelName.startsWith('Depthwise')
  return (inputs, attributes, backend) => {
    const run: Run = (changed, changes) =>
      stock.kernelFunc({
        inputs: { ...inputs, ...changed },
        attrs: { ...attributes, ...changes } as unknown as tf.NamedAttrMap,
        backend,
      }) as tf.Tensor
    const dilations = pairOf(attributes['dilations'])
    if (kernelName !== tf.DepthwiseConv2dNative || (dilations[0] === 1 && dilations[1] === 1))
      return withPadding(run, inputs, attributes, depthwise)
    return tf.tidy(() => {
      const filter = spreadTaps(inputs['filter'] as tf.Tensor4D, dilations)
      const plain: Run = (changed, changes) => run({ filter, ...changed }, { dilations: [1, 1], ...changes })
      return withPadding(plain, { ...inputs, filter }, { ...attributes, dilations: [1, 1] }, depthwise)
    })
  }
}

/** Pads the input first, or cuts its gradient afterwards, where the padding is neither `same` nor `valid`. */
function withPadding(run: Run, { x, filter }: Inputs, attributes: Attributes, depthwise: boolean): tf.Tensor {
  const conv = attributes as unknown as ConvAttributes
  if (conv.pad === 'same' || conv.pad === 'valid' || conv.dataFormat === 'NCHW') return run({}, {})
  const inputShape = (x?.shape ?? attributes['inputShape']) as Shape
  const filterShape = (filter?.shape ?? attributes['filterShape']) as Shape
  const padding = paddingOf(convGeometry(inputShape, filterShape, conv, depthwise))
  return tf.tidy(() => {
    if (x) return run({ x: tf.pad(x, padding) }, { pad: 'valid' })
    const padded = inputShape.map((size, axis) => size + padding[axis]![0] + padding[axis]![1])
    const start = padding.map(([before]) => before) as Shape
    return tf.slice(run({}, { pad: 'valid', inputShape: padded }) as tf.Tensor4D, start, inputShape)
  })
}

/** What `valid` must find around the input, so that it gives the output of that geometry. */
function paddingOf(info: ConvGeometry): Padding {
  const { top, bottom, left, right } = info.padInfo
  const reach = (out: number, stride: number, filter: number): number => (out - 1) * stride + filter
  const height = reach(info.outHeight, info.strideHeight, info.effectiveFilterHeight)
  const width = reach(info.outWidth, info.strideWidth, info.effectiveFilterWidth)
  return [
    [0, 0],
    [top, Math.max(bottom, height - info.inHeight - top)],
    [left, Math.max(right, width - info.inWidth - left)],
    [0, 0],
  ]
}

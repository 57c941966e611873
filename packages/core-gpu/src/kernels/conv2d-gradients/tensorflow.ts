import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import { type ConvAttributes, type ConvGeometry, convGeometry } from './geometry.ts'

type Shape = [number, number, number, number]
type Padding = [[number, number], [number, number], [number, number], [number, number]]

/**
 * A kernel of tfjs-node for a convolution or one of its gradients, for any padding.
 *
 * The stock ones refuse what is neither `same` nor `valid`: the input is padded first, and its gradient cut afterwards.
 */
export function anyPadding(kernelName: string): Kernel {
  const stock = stockKernel('tensorflow', kernelName)
  const depthwise = kernelName.startsWith('Depthwise')
  return (inputs, attributes, backend) => {
    const run = (changed: Record<string, tf.Tensor>, more: object = {}): tf.Tensor => {
      const attrs = { ...attributes, ...more } as unknown as tf.NamedAttrMap
      return stock.kernelFunc({ inputs: { ...inputs, ...changed }, attrs, backend }) as tf.Tensor
    }
    const { x, filter } = inputs
    const { pad, dataFormat } = attributes as unknown as ConvAttributes
    if (pad === 'same' || pad === 'valid' || dataFormat === 'NCHW') return run({})
    const inputShape = (x?.shape ?? attributes['inputShape']) as Shape
    const filterShape = (filter?.shape ?? attributes['filterShape']) as Shape
    const padding = paddingOf(
      convGeometry(inputShape, filterShape, attributes as unknown as ConvAttributes, depthwise),
    )
    return tf.tidy(() => {
      if (x) return run({ x: tf.pad(x, padding) }, { pad: 'valid' })
      const padded = inputShape.map((size, axis) => size + padding[axis]![0] + padding[axis]![1])
      const start = padding.map(([before]) => before) as Shape
      return tf.slice(run({}, { pad: 'valid', inputShape: padded }) as tf.Tensor4D, start, inputShape)
    })
  }
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

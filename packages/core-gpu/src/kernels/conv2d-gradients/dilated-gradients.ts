import * as tf from '@tensorflow/tfjs-core'
import type { ConvAttributes } from './geometry.ts'

type Pair = [number, number]

/**
 * Registers gradients of (depthwise) convolution that also hold for dilation, which tfjs's own refuse.
 *
 * A dilated convolution is a plain one whose filter has zeros between its taps.
 */
export function registerDilatedGradients(): void {
  tf.registerGradient({
    kernelName: tf.Conv2D,
    inputsToSave: ['x', 'filter'],
    gradFunc: (dy, saved, attrs) => {
      const [x, filter] = saved as [tf.Tensor4D, tf.Tensor4D]
      const { strides, pad, dataFormat, dimRoundingMode } = attrs as unknown as ConvAttributes
      const dilations = pairOf(attrs['dilations'])
      const spread = spreadTaps(filter, dilations)
      const attributes = { strides, pad, dataFormat, dimRoundingMode } as unknown as tf.NamedAttrMap
      const engine = tf.engine()
      return {
        x: () =>
          engine.runKernel(
            tf.Conv2DBackpropInput,
            { dy: dy as tf.Tensor, filter: spread },
            { ...attributes, inputShape: x.shape },
          ),
        filter: () =>
          gatherTaps(
            engine.runKernel(
              tf.Conv2DBackpropFilter,
              { x, dy: dy as tf.Tensor },
              { ...attributes, filterShape: spread.shape },
            ),
            dilations,
          ),
      }
    },
  })
  tf.registerGradient({
    kernelName: tf.DepthwiseConv2dNative,
    inputsToSave: ['x', 'filter'],
    gradFunc: (dy, saved, attrs) => {
      const [x, filter] = saved as [tf.Tensor4D, tf.Tensor4D]
      const { strides, pad, dimRoundingMode } = attrs as unknown as ConvAttributes
      const dilations = pairOf(attrs['dilations'])
      const spread = spreadTaps(filter, dilations)
      const attributes = { strides, pad, dimRoundingMode, dilations: [1, 1] } as unknown as tf.NamedAttrMap
      const engine = tf.engine()
      return {
        x: () =>
          engine.runKernel(
            tf.DepthwiseConv2dNativeBackpropInput,
            { dy: dy as tf.Tensor, filter: spread },
            { ...attributes, inputShape: x.shape },
          ),
        filter: () =>
          gatherTaps(
            engine.runKernel(
              tf.DepthwiseConv2dNativeBackpropFilter,
              { x, dy: dy as tf.Tensor },
              { ...attributes, filterShape: spread.shape },
            ),
            dilations,
          ),
      }
    },
  })
}

/** tfjs's dilations as [dy, dx]. */
export function pairOf(dilations: unknown): Pair {
  return Array.isArray(dilations) ? (dilations as Pair) : [Number(dilations ?? 1), Number(dilations ?? 1)]
}

/** Puts zeros between the taps of a filter [kh, kw, inC, outC]. */
export function spreadTaps(filter: tf.Tensor4D, [dy, dx]: Pair): tf.Tensor4D {
  if (dy === 1 && dx === 1) return filter
  const [kh, kw, inC, outC] = filter.shape
  const channels = inC * outC
  // One axis at a time: tfjs's webgpu cannot pad five.
  const rows = tf.pad(tf.reshape(filter, [kh, 1, kw * channels]), [[0, 0], [0, dy - 1], [0, 0]]) // prettier-ignore
  const both = tf.pad(tf.reshape(rows, [kh * dy * kw, 1, channels]), [[0, 0], [0, dx - 1], [0, 0]]) // prettier-ignore
  const full = tf.reshape(both, [kh * dy, kw * dx, inC, outC])
  return tf.slice(full, [0, 0, 0, 0], [(kh - 1) * dy + 1, (kw - 1) * dx + 1, inC, outC]) as tf.Tensor4D
}

/** The taps between the zeros: the adjoint of `spreadTaps`. */
function gatherTaps(spread: tf.Tensor, [dy, dx]: Pair): tf.Tensor {
  if (dy === 1 && dx === 1) return spread
  return tf.stridedSlice(spread, [0, 0, 0, 0], spread.shape, [dy, dx, 1, 1])
}

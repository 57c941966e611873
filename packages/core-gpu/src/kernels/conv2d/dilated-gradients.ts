import * as tf from '@tensorflow/tfjs-core'
import { hasKernel } from '../registry.ts'
import type { ConvAttributes } from './geometry.ts'

type Pair = [number, number]

/** Gradients that take dilations themselves, where a backend has them. */
export const dilatedInputGradient = 'XDilatedConv2DBackpropInput'
export const dilatedFilterGradient = 'XDilatedConv2DBackpropFilter'
export const dilatedDepthwiseInputGradient = 'XDilatedDepthwiseConv2dNativeBackpropInput'
export const dilatedDepthwiseFilterGradient = 'XDilatedDepthwiseConv2dNativeBackpropFilter'

/**
 * Registers gradients of (depthwise) convolution that also hold for dilation, which tfjs's own refuse.
 *
 * A dilated convolution is a plain one whose filter has zeros between its taps; a backend whose gradients take dilations
 * is spared those.
 */
export function registerDilatedGradients(): void {
  registerGradients(
    tf.Conv2D,
    [tf.Conv2DBackpropInput, tf.Conv2DBackpropFilter],
    [dilatedInputGradient, dilatedFilterGradient],
  )
  registerGradients(
    tf.DepthwiseConv2dNative,
    [tf.DepthwiseConv2dNativeBackpropInput, tf.DepthwiseConv2dNativeBackpropFilter],
    [dilatedDepthwiseInputGradient, dilatedDepthwiseFilterGradient],
  )
}

type KernelNames = readonly [input: string, filter: string]

function registerGradients(kernelName: string, plain: KernelNames, dilated: KernelNames): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['x', 'filter'],
    gradFunc: (dy, saved, attrs) => {
      const [x, filter] = saved as [tf.Tensor4D, tf.Tensor4D]
      const dilations = pairOf(attrs['dilations'])
      const native = hasKernel(dilated[0])
      const [inputKernel, filterKernel] = native ? dilated : plain
      const spread = native ? filter : spreadTaps(filter, dilations)
      const { strides, pad, dataFormat, dimRoundingMode } = attrs as unknown as ConvAttributes
      const own = { strides, pad, dataFormat, dimRoundingMode, dilations: native ? dilations : ([1, 1] as Pair) }
      const run = (kernel: string, inputs: Record<string, tf.Tensor>, shape: object): tf.Tensor =>
        tf.engine().runKernel(kernel, inputs, { ...own, ...shape } as unknown as tf.NamedAttrMap)
      return {
        x: () => run(inputKernel, { dy: dy as tf.Tensor, filter: spread }, { inputShape: x.shape }),
        filter: () => {
          const gradient = run(filterKernel, { x, dy: dy as tf.Tensor }, { filterShape: spread.shape })
          return native ? gradient : gatherTaps(gradient, dilations)
        },
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

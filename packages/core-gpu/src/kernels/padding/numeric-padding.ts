import * as tf from '@tensorflow/tfjs-core'
import {
  dilatedDepthwiseFilterGradient,
  dilatedDepthwiseInputGradient,
  dilatedFilterGradient,
  dilatedInputGradient,
} from '../conv2d/dilated-gradients.ts'
import { replaceKernel } from '../registry.ts'

const convolutions = [tf.Conv2D, tf.DepthwiseConv2dNative, tf.FusedConv2D, tf.FusedDepthwiseConv2D]
const windowed = [
  ...convolutions,
  tf.AvgPool,
  tf.AvgPoolGrad,
  tf.Conv2DBackpropFilter,
  tf.Conv2DBackpropInput,
  tf.DepthwiseConv2dNativeBackpropFilter,
  tf.DepthwiseConv2dNativeBackpropInput,
  tf.MaxPool,
  tf.MaxPoolGrad,
  dilatedDepthwiseFilterGradient,
  dilatedDepthwiseInputGradient,
  dilatedFilterGradient,
  dilatedInputGradient,
]

type Attributes = Record<string, unknown>
type Rewrite = (attributes: Attributes, inputs: Record<string, tf.Tensor>) => tf.backend_util.ExplicitPadding | null

/**
 * Makes 2-D windows right whose padding is a number: spells it out for each side.
 *
 * tfjs computes the width of the result with the height of the window and its stride, so that windows or strides that are
 * not square give a result of the wrong shape; its wasm kernels then write past its end.
 */
export function spellOutNumericPadding(backendName: string): void {
  rewritePadding(backendName, windowed, ({ pad, dataFormat }) => {
    if (typeof pad !== 'number') return null
    return eachSide([pad, pad], [pad, pad], dataFormat === 'NCHW')
  })
}

/** Spells out `same` for the convolutions of wasm, which give zeros where one axis is padded and the other is skipped over. */
export function spellOutSamePaddingWasm(): void {
  rewritePadding('wasm', convolutions, ({ pad, strides, dilations, dataFormat }, { x, filter }) => {
    if (pad !== 'same' || dataFormat === 'NCHW') return null
    const [, height, width] = x!.shape as [number, number, number]
    const [kh, kw] = filter!.shape as [number, number]
    const { top, bottom, left, right } = tf.backend_util.computeConv2DInfo(
      [1, height, width, 1],
      [kh, kw, 1, 1],
      strides as number,
      dilations as number,
      pad,
    ).padInfo
    return eachSide([top, bottom], [left, right], false)
  })
}

function rewritePadding(backendName: string, kernelNames: readonly string[], rewrite: Rewrite): void {
  for (const kernelName of kernelNames) {
    const kernel = tf.getKernel(kernelName, backendName)
    if (!kernel) continue
    replaceKernel(backendName, kernelName, (inputs, attributes, backend) => {
      const pad = rewrite(attributes, inputs)
      const attrs = pad === null ? attributes : { ...attributes, pad }
      return kernel.kernelFunc({ inputs, attrs: attrs as unknown as tf.NamedAttrMap, backend })
    })
  }
}

type Sides = [before: number, behind: number]

function eachSide(rows: Sides, columns: Sides, channelsFirst: boolean): tf.backend_util.ExplicitPadding {
  return channelsFirst ? [[0, 0], [0, 0], rows, columns] : [[0, 0], rows, columns, [0, 0]]
}

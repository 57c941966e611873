import * as tf from '@tensorflow/tfjs-core'

/** The numbers of a 2-D convolution over NHWC. */
export type ConvGeometry = tf.backend_util.Conv2DInfo

/** What tfjs's kernels for convolution gradients are told. */
export interface ConvAttributes {
  readonly strides: number | [number, number]
  readonly pad: number | 'valid' | 'same' | tf.backend_util.ExplicitPadding
  readonly dataFormat?: 'NHWC' | 'NCHW'
  readonly dilations?: number | [number, number]
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil'
}

/** @throws RangeError for channels-first data, which no kernel of ours takes */
export function convGeometry(
  inputShape: number[],
  filterShape: number[],
  attributes: ConvAttributes,
  depthwise = false,
): ConvGeometry {
  const { strides, pad, dataFormat = 'NHWC', dilations = 1, dimRoundingMode } = attributes
  if (dataFormat !== 'NHWC') throw new RangeError(`dataFormat: expected NHWC, got ${dataFormat}`)
  return tf.backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
  )
}

/** The geometry in the order that im2col, col2im and the depthwise kernel take it. */
export function geometryNumbers(info: ConvGeometry): number[] {
  return [
    info.inHeight,
    info.inWidth,
    info.inChannels,
    info.outHeight,
    info.outWidth,
    info.filterHeight,
    info.filterWidth,
    info.strideHeight,
    info.strideWidth,
    info.padInfo.top,
    info.padInfo.left,
  ]
}

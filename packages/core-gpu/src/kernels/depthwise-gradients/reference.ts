import * as tf from '@tensorflow/tfjs-core'
import { type ConvAttributes, convGeometry } from '../conv2d/geometry.ts'
import { filterGradientReference } from '../conv2d/reference.ts'

// A depthwise convolution is a dense one whose filter is zero between different channels.

/** DepthwiseConv2dNativeBackpropInput in plain operations. */
export function depthwiseInputGradientReference(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: number[],
  { strides, pad, dimRoundingMode }: ConvAttributes,
): tf.Tensor {
  const [kh, kw, channels, multiplier] = filter.shape
  const dense = tf.mul(tf.reshape(filter, [kh, kw, 1, channels * multiplier]), ownChannel(channels, multiplier))
  const attributes = { strides, pad, dimRoundingMode, dataFormat: 'NHWC', inputShape }
  return tf.engine().runKernel(tf.Conv2DBackpropInput, { dy, filter: dense }, attributes as unknown as tf.NamedAttrMap)
}

/** DepthwiseConv2dNativeBackpropFilter in plain operations. */
export function depthwiseFilterGradientReference(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: [number, number, number, number],
  attributes: ConvAttributes,
): tf.Tensor {
  const [kh, kw, channels, multiplier] = filterShape
  const { padInfo } = convGeometry(x.shape, filterShape, attributes, true)
  const { top, bottom, left, right } = padInfo
  const pad: tf.backend_util.ExplicitPadding = [[0, 0], [top, bottom], [left, right], [0, 0]] // prettier-ignore
  const denseShape = [kh, kw, channels, channels * multiplier]
  const dense = filterGradientReference(x, dy, denseShape, { ...attributes, pad })
  return tf.reshape(tf.sum(tf.mul(dense, ownChannel(channels, multiplier)), 2), filterShape)
}

/** One where an output channel belongs to an input channel. [channels, channels * multiplier] */
function ownChannel(channels: number, multiplier: number): tf.Tensor2D {
  const spread = tf.tile(tf.expandDims(tf.eye(channels), 2), [1, 1, multiplier]) // [channels, channels, multiplier]
  return tf.reshape(spread, [channels, channels * multiplier])
}

import * as tf from '@tensorflow/tfjs-core'
import { type ConvAttributes, convGeometry } from './geometry.ts'

/** Conv2DBackpropFilter in plain operations: one matrix product per filter tap. Returns [kh, kw, inC, outC] */
export function filterGradientReference(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: number[],
  attributes: ConvAttributes,
): tf.Tensor4D {
  const info = convGeometry(x.shape, filterShape, attributes)
  const { filterHeight, filterWidth, inChannels, outChannels, strideHeight, strideWidth, padInfo } = info
  const spanY = (info.outHeight - 1) * strideHeight + 1
  const spanX = (info.outWidth - 1) * strideWidth + 1
  const bottom = Math.max(0, spanY + filterHeight - 1 - info.inHeight - padInfo.top)
  const right = Math.max(0, spanX + filterWidth - 1 - info.inWidth - padInfo.left)
  const padded = tf.pad(x, [
    [0, 0],
    [padInfo.top, bottom],
    [padInfo.left, right],
    [0, 0],
  ])
  const outputs = tf.reshape(dy, [-1, outChannels]) // [b*outH*outW, outC]
  const taps: tf.Tensor[] = []
  for (let ky = 0; ky < filterHeight; ky++) {
    for (let kx = 0; kx < filterWidth; kx++) {
      const end = [info.batchSize, ky + spanY, kx + spanX, inChannels]
      const inputs = tf.stridedSlice(padded, [0, ky, kx, 0], end, [1, strideHeight, strideWidth, 1])
      taps.push(tf.matMul(tf.reshape(inputs, [-1, inChannels]), outputs, true)) // [inC, outC]
    }
  }
  return tf.reshape(tf.stack(taps), [filterHeight, filterWidth, inChannels, outChannels])
}

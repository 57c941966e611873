import type * as tf from '@tensorflow/tfjs-core'
import { type ConvGeometry, geometryNumbers } from '../conv2d/geometry.ts'
import type { Pack } from '../pack.ts'

/** Gradient of a depthwise convolution: `other` is the filter when `towards` is input, the input when it is filter. */
export function depthwiseGradientWasm(
  pack: Pack,
  towards: 'input' | 'filter',
  other: tf.TensorInfo,
  dy: tf.TensorInfo,
  info: ConvGeometry,
): tf.TensorInfo {
  const toInput = towards === 'input'
  const out = pack.output(toInput ? info.inShape : info.filterShape)
  pack.clear(out)
  const [h, w, c, ...rest] = geometryNumbers(info)
  const multiplier = info.filterShape[3]
  const addresses = [pack.address(other), pack.address(dy), pack.address(out)]
  pack.run.depthwiseGradient(toInput ? 1 : 0, ...addresses, info.batchSize, h!, w!, c!, multiplier, ...rest)
  return out
}

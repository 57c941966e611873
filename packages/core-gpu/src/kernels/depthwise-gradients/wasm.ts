import type * as tf from '@tensorflow/tfjs-core'
import { type ConvGeometry, geometryNumbers } from '../conv2d/geometry.ts'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'

/** DepthwiseConv2dNative of x [b, h, w, c] with filter [kh, kw, c, q]. */
export function depthwiseWasm(pack: Pack, x: tf.TensorInfo, filter: tf.TensorInfo, info: ConvGeometry): tf.TensorInfo {
  const out = pack.output(info.outShape)
  const numbers = [pack.address(x), pack.address(filter), pack.address(out), info.filterShape[3]]
  const lines = info.batchSize * info.outHeight
  pack.parallel('depthwiseLines', lines, grainOf(lineWork(info), 1), 0, ...numbers, ...geometryNumbers(info))
  return out
}

/** DepthwiseConv2dNativeBackpropInput. */
export function depthwiseInputGradientWasm(
  pack: Pack,
  dy: tf.TensorInfo,
  filter: tf.TensorInfo,
  info: ConvGeometry,
): tf.TensorInfo {
  const dx = pack.output(info.inShape)
  const numbers = [pack.address(filter), pack.address(dy), pack.address(dx), info.filterShape[3]]
  const lines = info.batchSize * info.inHeight
  pack.parallel('depthwiseInputLines', lines, grainOf(lineWork(info), 1), 0, ...numbers, ...geometryNumbers(info))
  return dx
}

/** DepthwiseConv2dNativeBackpropFilter: parts by output lines, then their sum. */
export function depthwiseFilterGradientWasm(
  pack: Pack,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  info: ConvGeometry,
): tf.TensorInfo {
  const out = pack.output(info.filterShape)
  const [kh, kw, c, q] = info.filterShape
  const lines = info.batchSize * info.outHeight
  // No more parts than lines that are worth adding them up.
  const span = Math.max(grainOf(lineWork(info), 1), Math.ceil(lines / 64))
  const count = Math.max(1, Math.ceil(lines / span))
  const size = kh * kw * c * q
  const parts = pack.scratch(count * size * 4)
  const numbers = [pack.address(x), pack.address(dy), parts, q, lines, span, ...geometryNumbers(info)]
  pack.parallel('depthwiseFilterParts', count, 1, 0, ...numbers)
  pack.run.columnSums(0, size, 0, parts, pack.address(out), 1, count, size, 1)
  return out
}

/** Multiply-adds for one line. */
function lineWork({ outWidth, filterHeight, filterWidth, outChannels }: ConvGeometry): number {
  return outWidth * filterHeight * filterWidth * outChannels
}

import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'

// An exponential of four lanes counts as ten operations of one number.
const exponentialWork = 10

/** Softmax and LogSoftmax along the last dimension. */
export function softmaxWasm(pack: Pack, name: 'softmaxRows' | 'logSoftmaxRows', x: tf.TensorInfo): tf.TensorInfo {
  const y = pack.output(x.shape)
  byRows(pack, name, x, [pack.address(x), pack.address(y)])
  return y
}

/** XSoftmaxGradient and XLogSoftmaxGradient. */
export function softmaxGradientWasm(
  pack: Pack,
  name: 'softmaxGradientRows' | 'logSoftmaxGradientRows',
  y: tf.TensorInfo,
  dy: tf.TensorInfo,
): tf.TensorInfo {
  const dx = pack.output(y.shape)
  byRows(pack, name, y, [pack.address(y), pack.address(dy), pack.address(dx)])
  return dx
}

function byRows(pack: Pack, name: Parameters<Pack['parallel']>[0], x: tf.TensorInfo, addresses: number[]): void {
  const d = x.shape.at(-1)!
  const rows = d === 0 ? 0 : tf.util.sizeFromShape(x.shape) / d
  pack.parallel(name, rows, grainOf(d * exponentialWork, 1), 0, ...addresses, d)
}

import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'
import type { RotaryAttributes, RotaryTables } from './rope.ts'

/**
 * XRotary: x [..., L, d] in one pass.
 *
 * Floor: 3 operations for each dimension that turns; 8 bytes for each of x, and the tables [L, pairs] once.
 */
export function rotaryWasm(
  pack: Pack,
  x: tf.TensorInfo,
  { cos, sin }: { [Name in keyof RotaryTables]: tf.TensorInfo },
  { interleaved, start, direction }: RotaryAttributes,
): tf.TensorInfo {
  const out = pack.output(x.shape)
  const [length, d] = x.shape.slice(-2) as [number, number]
  const addresses = [x, cos, sin, out].map((tensor) => pack.address(tensor))
  const rows = tf.util.sizeFromShape(x.shape) / d
  const sizes = [length, d, cos.shape[1]!, start, Number(interleaved)]
  pack.parallel('rotateRows', rows, grainOf(2 * d, 1), 0, ...addresses, ...sizes, direction)
  return out
}

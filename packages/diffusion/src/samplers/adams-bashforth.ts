import type * as tf from '@tensorflow/tfjs-core'
import { combine } from './combine.ts'

/** Adams and Bashforth's weights for equal steps, newest slope first, by how many slopes there are. */
const weights = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]] as const

/** The slope that Adams and Bashforth's method follows. @param slopes newest first, one to four */
export function adamsBashforth(slopes: readonly tf.Tensor[]): tf.Tensor {
  return combine(...weights[slopes.length - 1]!.map((weight, i) => [weight, slopes[i]!] as const))
}

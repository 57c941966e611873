import * as tf from '@tensorflow/tfjs-core'
import { type LossTerm, meanSquare } from './losses.ts'

/** Pulls vectors and, through the index, every code together: `weight * mse(value, z)`, nothing stopped. arXiv 2412.02692 */
export function valueLoss(weight = 1): LossTerm {
  return ({ z, value, counts }) => tf.mul(weight, meanSquare(value, z, counts))
}

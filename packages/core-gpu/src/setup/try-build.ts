import * as tf from '@tensorflow/tfjs-core'
import { openBuiltTensorFlow } from '../backends/tensorflow-package.ts'
import type { BuiltTensorFlow } from '../backends/tensorflow-build.ts'

/** What a build says of itself when it works. */
export interface TriedBuild {
  readonly tensorflow: string
  readonly usesGpu: boolean
}

/**
 * Loads a build into this process and multiplies two matrices with it.
 * @throws Error when it does not load, or the product is wrong
 */
export async function tryBuild(build: BuiltTensorFlow): Promise<TriedBuild> {
  const { usesGpu, description } = await openBuiltTensorFlow(build)
  const [rows, inner, columns] = [3, 4, 5]
  const a = Float32Array.from({ length: rows * inner }, (_, i) => i - 5)
  const b = Float32Array.from({ length: inner * columns }, (_, i) => 7 - 2 * i)
  const product = tf.matMul(tf.tensor2d(a, [rows, inner]), tf.tensor2d(b, [inner, columns])).dataSync()
  for (const [place, value] of product.entries()) {
    const [i, j] = [Math.floor(place / columns), place % columns]
    let expected = 0
    for (let k = 0; k < inner; k++) expected += a[i * inner + k]! * b[k * columns + j]!
    // Small whole numbers: every sum is exact in float32.
    if (value !== expected) throw new Error(`a product of matrices has ${value} where ${expected} is right`)
  }
  return { tensorflow: description.versions['tensorflow']!, usesGpu }
}

import type { Tensor2D } from '@tensorflow/tfjs-core'
import { nearestCode } from '@x/core-gpu'
import type { Operation } from '../operations.ts'

/** The nearest code for each vector; with stock kernels its plain version, which computes the distances in parts. */
export const nearest: Operation = (_, { vectors = 1, dim = 1, codes = 1 }, draw) => {
  const [x, codebook] = [draw(vectors, dim) as Tensor2D, draw(codes, dim) as Tensor2D]
  return () => {
    const { indices, distances } = nearestCode(x, codebook)
    return [indices, distances]
  }
}

import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core'
import { key, lookup } from '@x/core-gpu'
import { differentiate, type Operation } from '../operations.ts'

/** Picks codes by random indices, and sums the gradient for each code. */
export const lookupAndGradient: Operation = (_, { vectors = 1, dim = 1, codes = 1 }, draw) => {
  const ids = key(0).integers([vectors], { high: codes })
  const forward = ([codebook]: readonly Tensor[]): Tensor => lookup(codebook as Tensor2D, ids)
  return differentiate(forward, [draw(codes, dim)], [vectors, dim], draw)
}

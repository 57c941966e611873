import * as tf from '@tensorflow/tfjs-core'
import { requireLastDimension } from '@x/core-gpu'
import { requireIndices } from '../indices.ts'
import type { Quantizer } from '../quantizer.ts'

/** The numbers a structure takes from its parts. */
export function sizesOf(parts: readonly Quantizer[]): { codebookSize: number; codebooks: number } {
  return {
    codebookSize: Math.max(...parts.map(({ codebookSize }) => codebookSize)),
    codebooks: parts.reduce((sum, { codebooks }) => sum + codebooks, 0),
  }
}

/** Parts' indices, `[...]` or `[..., c]` each, side by side: `[..., sum of c]`, or `[...]` if that is 1. */
export function joinIndices(parts: readonly tf.Tensor[], lead: readonly number[]): tf.Tensor {
  const wide = parts.map((part) => (part.rank === lead.length ? tf.expandDims(part, -1) : part))
  const joined = tf.concat(wide, -1)
  return joined.shape.at(-1) === 1 ? tf.reshape(joined, [...lead]) : joined
}

/** The reverse: each part's own indices. `flat` says that they have no dimension for codebooks. */
export function splitIndices(indices: tf.Tensor, parts: readonly Quantizer[], flat: boolean): tf.Tensor[] {
  if (flat) return [indices]
  const codebooks = parts.map((part) => part.codebooks)
  const pieces = tf.split(indices, codebooks, -1)
  return pieces.map((piece, i) => (codebooks[i] === 1 ? tf.squeeze(piece, [piece.rank - 1]) : piece))
}

/** Refuses what cannot be indices of these parts; the range of each is checked where tensors can be read synchronously. */
export function requirePartIndices(indices: tf.Tensor, { codebooks, codebookSize }: Quantizer): void {
  requireIndices('indices', indices, codebookSize)
  if (codebooks > 1) requireLastDimension('indices', indices, codebooks)
}

/**
 * The parts' codebooks under one another, `[c, K, w]`.
 * @throws RangeError when their sizes differ
 */
export function stackCodebooks(parts: readonly Quantizer[]): tf.Tensor3D {
  return tf.tidy(() => {
    const all = parts.flatMap((part) => {
      const codes = part.codebook()
      if (codes.rank === 3) return tf.unstack(codes)
      return Array.from({ length: part.codebooks }, () => codes)
    })
    const odd = all.find(({ shape }) => !tf.util.arraysEqual(shape, all[0]!.shape))
    if (odd) throw new RangeError(`codebook: sizes differ, [${all[0]!.shape}] and [${odd.shape}]; ask each part`)
    return tf.stack(all) as tf.Tensor3D
  })
}

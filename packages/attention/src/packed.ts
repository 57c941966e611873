import * as tf from '@tensorflow/tfjs-core'
import { describeShape } from '@x/core-gpu'
import type { Attention, ForwardOptions } from './attention.ts'

/**
 * Attention within each of several documents that lie one after the other in a row, each from position 0; differentiable.
 *
 * No pair of tokens of different documents is computed, and no mask is made.
 * @param x float32 [B, L, D]
 * @param lengths of the documents, the same for all rows, or those of each; together L
 * @returns [B, L, D]; to be disposed by the caller
 * @throws RangeError unless the documents fill every row
 */
export function forwardPacked(
  attention: Attention,
  x: tf.Tensor3D,
  lengths: readonly number[] | readonly (readonly number[])[],
  options: Pick<ForwardOptions, 'training' | 'key'> = {},
): tf.Tensor3D {
  const [batch, length] = x.shape
  const own = lengths.some((entry) => typeof entry !== 'number')
  const rows = (own ? lengths : [lengths]) as readonly (readonly number[])[]
  for (const row of rows)
    if (row.some((count) => !Number.isInteger(count) || count < 1) || row.reduce((a, b) => a + b, 0) !== length)
      throw new RangeError(`lengths: expected whole numbers >= 1 that sum to ${length}, got [${row.join(', ')}]`)
  if (own && rows.length !== batch)
    throw new RangeError(`lengths: expected those of ${batch} rows of x ${describeShape(x.shape)}, got ${rows.length}`)
  return tf.tidy(() => {
    const done = rows.map((row, at) => {
      let from = 0
      const parts = row.map((count, document) => {
        const part = tf.slice(x, [own ? at : 0, from, 0], [own ? 1 : batch, count, -1])
        from += count
        const { key } = options
        return attention.forward(part, { ...options, ...(key && { key: key.fold(at).fold(document) }) })
      })
      return parts.length === 1 ? parts[0]! : tf.concat(parts, 1)
    })
    return done.length === 1 ? done[0]! : tf.concat(done, 0)
  })
}

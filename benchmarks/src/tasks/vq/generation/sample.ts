import * as tf from '@tensorflow/tfjs-core'
import { type Key, softmax } from '@x/core-gpu'
import { allRows } from '../digits/batches.ts'
import type { CodePrior } from './prior.ts'

/** The first index up to which a row's probabilities sum to more than a share of them all. */
function pick(probabilities: ArrayLike<number>, start: number, count: number, share: number): number {
  let total = 0
  for (let i = 0; i < count; i++) total += probabilities[start + i]!
  let last = 0
  let sum = 0
  for (let i = 0; i < count; i++) {
    const probability = probabilities[start + i]!
    if (probability === 0) continue
    sum += probability
    last = i
    if (sum > share * total) break
  }
  return last
}

/**
 * Draws codes one after the other; a digit draws the same ones whatever is drawn beside it.
 * @param labels the class of each digit
 * @returns codes digit by digit, [labels.length x L]
 * @throws what the signal says, when it ends sampling
 */
export async function sampleCodes(
  prior: CodePrior,
  labels: Uint8Array,
  key: Key,
  signal: AbortSignal,
): Promise<Int32Array> {
  const { codes: count, length } = prior
  const uniform = key.uniform([labels.length, length])
  const shares = await uniform.data()
  uniform.dispose()
  const sampled = new Int32Array(labels.length * length)
  for (const rows of allRows(labels.length)) {
    const classes = tf.tensor1d(
      Array.from(rows, (row) => labels[row]!),
      'int32',
    )
    for (let known = 0; known < length; known++) {
      signal.throwIfAborted()
      const before = Int32Array.from({ length: rows.length * known }, (_, i) => {
        return sampled[rows[Math.floor(i / known)]! * length + (i % known)]!
      })
      const next = tf.tidy(() => softmax(prior.next(classes, tf.tensor2d(before, [rows.length, known], 'int32'))))
      const probabilities = await next.data()
      next.dispose()
      rows.forEach((row, i) => {
        const place = row * length + known
        sampled[place] = pick(probabilities, i * count, count, shares[place]!)
      })
    }
    classes.dispose()
  }
  return sampled
}

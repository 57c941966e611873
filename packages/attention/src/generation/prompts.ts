import * as tf from '@tensorflow/tfjs-core'
import { describeValue, requireInteger } from '@x/core-gpu'
import type { Decoder } from '../decoder/decoder.ts'
import type { DecoderCache } from '../decoder/decoder-cache.ts'

/** Sequences of tokens, each of at least one. */
export type Prompts = readonly (readonly number[])[]

/** @throws RangeError for no prompts, an empty one, or a token that the model does not know */
export function requirePrompts(prompts: Prompts, vocabulary: number): void {
  if (prompts.length === 0 || prompts.some(({ length }) => length === 0))
    throw new RangeError('prompts: expected at least one, each of at least one token')
  const wrong = prompts.flat().find((token) => !Number.isInteger(token) || token < 0 || token >= vocabulary)
  if (wrong !== undefined)
    throw new RangeError(`prompts: expected tokens from 0 to ${vocabulary - 1}, got ${describeValue(wrong)}`)
}

/**
 * Reads prompts of any lengths into a cache.
 * @param chunk how many tokens of a prompt one call takes
 * @returns the scores of what follows each, [B, V]
 */
export function readPrompts(model: Decoder, prompts: Prompts, cache: DecoderCache, chunk: number): tf.Tensor2D {
  const last: tf.Tensor[] = []
  readPieces(model, prompts, cache, chunk, (hidden, from) => {
    const ends = prompts.map(({ length }) => length - 1 - from)
    for (const [at, end] of ends.entries())
      if (end >= 0 && end < hidden.shape[1]) last[at] = tf.slice(hidden, [at, end, 0], [1, 1, -1])
  })
  cache.truncate(prompts.map(({ length }) => length))
  const scores = tf.tidy(() => model.project(tf.reshape(tf.concat(last, 0), [prompts.length, -1])) as tf.Tensor2D)
  tf.dispose(last)
  return scores
}

/** Reads all but the last token of each prompt into a cache. */
export function rememberPrompts(model: Decoder, prompts: Prompts, cache: DecoderCache, chunk: number): void {
  const before = prompts.map((prompt) => prompt.slice(0, -1))
  readPieces(model, before, cache, chunk, () => undefined)
  cache.truncate(before.map(({ length }) => length))
}

/** Shorter prompts are filled up; what follows from that is for the caller to forget. */
function readPieces(
  model: Decoder,
  prompts: Prompts,
  cache: DecoderCache,
  chunk: number,
  visit: (hidden: tf.Tensor3D, from: number) => void,
): void {
  requireInteger('chunk', chunk, 1)
  const longest = Math.max(...prompts.map(({ length }) => length))
  for (let from = 0; from < longest; from += chunk) {
    const count = Math.min(chunk, longest - from)
    const rows = prompts.map((prompt) => Array.from({ length: count }, (_, i) => prompt[from + i] ?? 0))
    const tokens = tf.tensor2d(rows, [rows.length, count], 'int32')
    const hidden = model.hidden(tokens, { cache })
    visit(hidden, from)
    tf.dispose([tokens, hidden])
  }
}

/** The rows of a matrix, read without blocking. */
export async function rowsOf(matrix: tf.Tensor2D): Promise<Float32Array[]> {
  const [rows, columns] = matrix.shape
  const values = await matrix.data<'float32'>()
  return Array.from({ length: rows }, (_, i) => values.subarray(i * columns, (i + 1) * columns))
}

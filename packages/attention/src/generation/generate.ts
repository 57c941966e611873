import * as tf from '@tensorflow/tfjs-core'
import { key as makeKey, type Key, requireInteger } from '@x/core-gpu'
import type { CacheOptions } from '../caches/cache.ts'
import type { Decoder } from '../decoder/decoder.ts'
import { type Prompts, readPrompts, requirePrompts, rowsOf } from './prompts.ts'
import { drawToken, requireSampling, type SamplingOptions, tokenDistribution } from './token-distribution.ts'

export interface GenerateOptions extends SamplingOptions {
  /** tokens to add to each prompt, at most */
  readonly maxTokens: number
  /** ends a sequence: a token, or several in a row; they belong to the result; default: none */
  readonly stop?: readonly (number | readonly number[])[]
  /** sequence i draws from what i folds it into, so that it is the same in any batch; default `key(0)` */
  readonly key?: Key
  /** tokens of a prompt that are read at once; default 512 */
  readonly chunk?: number
  /**
   * How tokens are kept, as `createCache` takes it; default: contiguous, float32. Prompts of different lengths are filled up
   * and what was too much taken back, for which a ring needs `spare`.
   */
  readonly cache?: Pick<CacheOptions, 'kind' | 'storage'>
  /** ends generation by its reason, after the token under way */
  readonly signal?: AbortSignal
}

/** A token as it comes. */
export interface GeneratedToken {
  /** which prompt it belongs to */
  readonly sequence: number
  readonly token: number
  /** its place behind the prompt, from 0 */
  readonly index: number
  /** whether its sequence ends with it */
  readonly last: boolean
}

/**
 * Generates tokens, and hands each over as soon as it is there.
 *
 * Prompts of different lengths share a cache. Whoever stops listening stops the generation.
 * @throws TypeError, RangeError naming the option that is wrong, or the signal's reason
 */
export async function* stream(
  model: Decoder,
  prompts: Prompts,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { maxTokens, stop = [], key = makeKey(0), chunk = 512, signal } = options
  requirePrompts(prompts, model.vocabulary)
  requireInteger('maxTokens', maxTokens, 0)
  requireSampling(options)
  if (maxTokens === 0) return
  const sequences = prompts.map((prompt) => [...prompt])
  const keys = prompts.map((_, i) => key.fold(i))
  const running = new Set(prompts.keys())
  const cache = model.createCache({
    ...options.cache,
    batch: prompts.length,
    capacity: Math.max(...prompts.map(({ length }) => length)) + maxTokens,
  })
  let scores: tf.Tensor2D | undefined
  try {
    scores = readPrompts(model, prompts, cache, chunk)
    for (let index = 0; index < maxTokens && running.size > 0; index++) {
      signal?.throwIfAborted()
      const rows = await rowsOf(scores)
      scores.dispose()
      const ended = new Set<number>()
      for (const [sequence, tokens] of sequences.entries()) {
        if (!running.has(sequence)) continue
        const token = drawToken(tokenDistribution(rows[sequence]!, options, tokens), keys[sequence]!.fold(index))
        tokens.push(token)
        const last = index === maxTokens - 1 || endsWith(tokens, prompts[sequence]!.length, stop)
        if (last) ended.add(sequence)
        yield { sequence, token, index, last }
      }
      for (const sequence of ended) running.delete(sequence)
      if (running.size > 0 && index < maxTokens - 1)
        scores = tf.tidy(() => {
          // What has ended goes on with anything, unread.
          const next = sequences.map((tokens, sequence) => [running.has(sequence) ? tokens.at(-1)! : 0])
          const hidden = model.hidden(tf.tensor2d(next, [next.length, 1], 'int32'), { cache })
          return model.project(tf.reshape(hidden, [next.length, -1])) as tf.Tensor2D
        })
    }
  } finally {
    scores?.dispose()
    cache.dispose()
  }
}

/**
 * Generates what follows each prompt.
 * @returns the new tokens of each, without the prompt
 * @throws TypeError, RangeError naming the option that is wrong, or the signal's reason
 */
export async function generate(model: Decoder, prompts: Prompts, options: GenerateOptions): Promise<number[][]> {
  const made: number[][] = prompts.map(() => [])
  for await (const { sequence, token } of stream(model, prompts, options)) made[sequence]!.push(token)
  return made
}

/** Whether new tokens end in one of the ends. */
export function endsWith(
  tokens: readonly number[],
  promptLength: number,
  ends: readonly (number | readonly number[])[],
): boolean {
  return ends.some((end) => {
    const wanted = typeof end === 'number' ? [end] : end
    const from = tokens.length - wanted.length
    return wanted.length > 0 && from >= promptLength && wanted.every((token, i) => tokens[from + i] === token)
  })
}

import * as tf from '@tensorflow/tfjs-core'
import { key as makeKey, type Key, requireInteger } from '@x/core-gpu'
import type { Decoder } from '../decoder/decoder.ts'
import type { DecoderCache } from '../decoder/decoder-cache.ts'
import { endsWith, type GenerateOptions } from './generate.ts'
import { type Prompts, rememberPrompts, requirePrompts, rowsOf } from './prompts.ts'
import { drawToken, requireSampling, type SamplingOptions, tokenDistribution, uniformOf } from './token-distribution.ts'

export interface SpeculateOptions extends GenerateOptions {
  /** tokens that the draft model runs ahead; default 4 */
  readonly ahead?: number
}

export interface Speculated {
  /** the new tokens of each prompt */
  readonly tokens: number[][]
  /** tokens that the draft proposed, for sequences still running */
  readonly proposed: number
  /** and how many of them the model kept */
  readonly accepted: number
}

/**
 * Generates with the help of a smaller model, which proposes tokens that the model judges in one pass. The distribution is that
 * of the model alone; with temperature 0 so are the tokens. arXiv 2211.17192
 * @param draft with the same vocabulary
 * @throws TypeError, RangeError naming the option that is wrong, or the signal's reason
 */
export async function speculate(
  model: Decoder,
  draft: Decoder,
  prompts: Prompts,
  options: SpeculateOptions,
): Promise<Speculated> {
  const { maxTokens, stop = [], key = makeKey(0), chunk = 512, ahead = 4, signal } = options
  requirePrompts(prompts, model.vocabulary)
  requireInteger('maxTokens', maxTokens, 0)
  requireInteger('ahead', ahead, 1)
  requireSampling(options)
  if (draft.vocabulary !== model.vocabulary)
    throw new RangeError(`draft: expected a vocabulary of ${model.vocabulary}, got ${draft.vocabulary}`)
  const sequences = prompts.map((prompt) => [...prompt])
  const running = new Set(maxTokens > 0 ? prompts.keys() : [])
  let [proposed, accepted] = [0, 0]
  const longest = Math.max(...prompts.map(({ length }) => length))
  const room = { ...options.cache, batch: prompts.length, capacity: longest + maxTokens + ahead + 1 }
  const [own, drafted] = [model.createCache(room), draft.createCache(room)]
  try {
    // Both caches hold all tokens but the last.
    rememberPrompts(model, prompts, own, chunk)
    rememberPrompts(draft, prompts, drafted, chunk)
    for (let round = 0; running.size > 0; round++) {
      signal?.throwIfAborted()
      const lasts = sequences.map((tokens) => tokens.at(-1)!)
      const keys = sequences.map((_, i) => key.fold(i).fold(round))
      const guesses = await propose(draft, drafted, lasts, { ...options, ahead, keys, sequences })
      const judged = await judge(model, own, lasts, guesses.map(({ tokens }) => tokens)) // prettier-ignore
      for (const [sequence, tokens] of sequences.entries()) {
        const { tokens: guessed, distributions } = guesses[sequence]!
        const decide = keys[sequence]!.fold(1)
        for (let i = 0; i <= ahead && running.has(sequence); i++) {
          const wanted = tokenDistribution(judged[sequence]![i]!, options, tokens)
          const guess = guessed[i]
          const offered = distributions[i]
          let keep = false
          if (guess !== undefined && offered !== undefined) {
            proposed++
            keep = uniformOf(decide.fold(2 * i)) * offered[guess]! < wanted[guess]!
          }
          if (keep) accepted++
          tokens.push(keep ? guess! : drawToken(offered ? rest(wanted, offered) : wanted, decide.fold(2 * i + 1)))
          if (
            tokens.length - prompts[sequence]!.length >= maxTokens ||
            endsWith(tokens, prompts[sequence]!.length, stop)
          )
            running.delete(sequence)
          if (!keep) break
        }
      }
      for (const cache of [own, drafted]) cache.truncate(sequences.map(({ length }) => length - 1))
    }
  } finally {
    own.dispose()
    drafted.dispose()
  }
  return { tokens: sequences.map((tokens, i) => tokens.slice(prompts[i]!.length)), proposed, accepted }
}

interface ProposeOptions extends SamplingOptions {
  readonly ahead: number
  readonly keys: readonly Key[]
  readonly sequences: readonly (readonly number[])[]
}

interface Guess {
  readonly tokens: readonly number[]
  /** what each was drawn from */
  readonly distributions: readonly Float64Array[]
}

/** What the draft expects behind each sequence; its cache then holds all of it. */
async function propose(
  draft: Decoder,
  cache: DecoderCache,
  lasts: readonly number[],
  options: ProposeOptions,
): Promise<Guess[]> {
  const { ahead, keys, sequences } = options
  const guesses = lasts.map(() => ({ tokens: [] as number[], distributions: [] as Float64Array[] }))
  let next = [...lasts]
  for (let i = 0; i <= ahead; i++) {
    const scores = tf.tidy(() => {
      const hidden = draft.hidden(tf.tensor2d(next, [next.length, 1], 'int32'), { cache })
      return draft.project(tf.reshape(hidden, [next.length, -1])) as tf.Tensor2D
    })
    if (i < ahead) {
      const rows = await rowsOf(scores)
      next = guesses.map(({ tokens, distributions }, at) => {
        const distribution = tokenDistribution(rows[at]!, options, [...sequences[at]!, ...tokens])
        const token = drawToken(distribution, keys[at]!.fold(0).fold(i))
        tokens.push(token)
        distributions.push(distribution)
        return token
      })
    }
    scores.dispose()
  }
  return guesses
}

/** The model's scores behind each last token and each guess, [sequence][place][V]. */
async function judge(
  model: Decoder,
  cache: DecoderCache,
  lasts: readonly number[],
  guesses: readonly (readonly number[])[],
): Promise<Float32Array[][]> {
  const rows = lasts.map((last, i) => [last, ...guesses[i]!])
  const places = rows[0]!.length
  const logits = tf.tidy(() => model.logits(tf.tensor2d(rows, [rows.length, places], 'int32'), { cache }))
  const values = await logits.data<'float32'>()
  logits.dispose()
  const { vocabulary } = model
  return rows.map(
    (_, i) =>
    Array.from({ length: places }, (_, j) => values.subarray((i * places + j) * vocabulary, (i * places + j + 1) * vocabulary)), // prettier-ignore
  )
}

/** What is left of a distribution where another offered too little: max(p - q, 0). */
function rest(wanted: Float64Array, offered: Float64Array): Float64Array {
  const left = wanted.map((p, token) => Math.max(p - offered[token]!, 0))
  // Equal distributions leave nothing but rounding.
  return left.some((p) => p > 0) ? left : wanted
}

import { describeValue, type Key, requireInteger } from '@x/core-gpu'

/** How the next token is chosen; each part may be absent. */
export interface SamplingOptions {
  /** scores are divided by it; 0 always takes the likeliest token; default 1 */
  readonly temperature?: number
  /** only the k likeliest; default: all */
  readonly topK?: number
  /** only the likeliest that make up this share (arXiv 1904.09751); default 1 */
  readonly topP?: number
  /** only those at least this times as likely as the likeliest (arXiv 2407.01082); default 0 */
  readonly minP?: number
  /** scores of tokens that occurred are divided by it, or multiplied where negative (arXiv 1909.05858); default 1 */
  readonly repetitionPenalty?: number
}

/** @throws RangeError naming the option that is out of range */
export function requireSampling(options: SamplingOptions): void {
  const { temperature = 1, topK, topP = 1, minP = 0, repetitionPenalty = 1 } = options
  const refuse = (name: string, expected: string, got: unknown): never => {
    throw new RangeError(`${name}: expected ${expected}, got ${describeValue(got)}`)
  }
  if (!(temperature >= 0 && temperature < Infinity)) refuse('temperature', 'a number >= 0', temperature)
  if (topK !== undefined) requireInteger('topK', topK, 1)
  if (!(topP > 0 && topP <= 1)) refuse('topP', 'above 0, at most 1', topP)
  if (!(minP >= 0 && minP <= 1)) refuse('minP', '0 to 1', minP)
  if (!(repetitionPenalty > 0 && repetitionPenalty < Infinity)) refuse('repetitionPenalty', 'a number > 0', repetitionPenalty) // prettier-ignore
}

/**
 * The probabilities of the next token: penalty, temperature, then the cuts by number, share and likelihood, in this order.
 * @param logits of all tokens
 * @param before tokens that occurred, for the penalty
 */
export function tokenDistribution(
  logits: ArrayLike<number>,
  options: SamplingOptions = {},
  before: Iterable<number> = [],
): Float64Array {
  const { temperature = 1, topK = Infinity, topP = 1, minP = 0, repetitionPenalty = 1 } = options
  const scores = Float64Array.from(logits)
  if (repetitionPenalty !== 1)
    for (const token of new Set(before))
      scores[token] = scores[token]! > 0 ? scores[token]! / repetitionPenalty : scores[token]! * repetitionPenalty
  if (temperature === 0) return certainOf(scores)
  const best = scores.reduce((most, score) => Math.max(most, score), -Infinity)
  const probabilities = scores.map((score) => Math.exp((score - best) / temperature))
  if (topK < scores.length || topP < 1 || minP > 0) {
    const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
    for (const token of order.slice(topK)) probabilities[token] = 0
    let rest = topP * total(probabilities)
    for (const token of order) {
      // The token that completes the share still belongs to it.
      if (rest <= 0 || probabilities[token]! < minP) probabilities[token] = 0
      else rest -= probabilities[token]!
    }
  }
  const sum = total(probabilities)
  return probabilities.map((value) => value / sum)
}

/**
 * Draws a token; the same key gives the same one.
 * @param distribution probabilities of all tokens
 */
export function drawToken(distribution: Float64Array, key: Key): number {
  let rest = uniformOf(key) * total(distribution)
  let last = 0
  for (const [token, probability] of distribution.entries()) {
    if (probability === 0) continue
    last = token
    rest -= probability
    if (rest < 0) return token
  }
  return last
}

/** A number in [0, 1) of 53 bits. */
export function uniformOf(key: Key): number {
  const [high, low] = key.bits(2) as unknown as [number, number]
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53
}

function certainOf(scores: Float64Array): Float64Array {
  let best = 0
  scores.forEach((score, token) => (best = score > scores[best]! ? token : best))
  return new Float64Array(scores.length).fill(1, best, best + 1)
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0)
}

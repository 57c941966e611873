import * as tf from '@tensorflow/tfjs-core'
import {
  attend,
  attendCached,
  type Attended,
  type AttendOptions,
  describeShape,
  type Key,
  requireTensor,
} from '@x/core-gpu'
import type { StoredBlock } from '../caches/cache.ts'
import type { PositionEncoding } from '../positions/position.ts'
import { attendComposed } from './composed.ts'
import { tidyAttended } from './tidy-attended.ts'

/** Where the scores of a block of queries stand. */
export interface ScorePlace {
  /** index of each query's own token, float32 [B or 1, 1, rows, 1] */
  readonly query: tf.Tensor4D
  /** index of each key's token, float32 [B or 1, 1, 1, S]; negative where there is none */
  readonly key: tf.Tensor4D
}

/** Changes scaled, capped and biased scores [B, h, rows, S]; must be made of differentiable operations. */
export type ScoreMod = (scores: tf.Tensor4D, place: ScorePlace) => tf.Tensor4D

/** How scores come about; each part may be absent. */
export interface Scoring {
  readonly scale: number
  /** whether a query sees no later key; the last query stands at the last key */
  readonly causal: boolean
  /** how many of the last keys a query sees, its own included; or how many to its left and right, its own apart */
  readonly window?: AttendOptions['window'] | undefined
  /** how many of the first keys every later query sees beside its window (arXiv 2309.17453); 0 for none */
  readonly keepFirst: number
  readonly softcap?: number | undefined
  readonly scoreMod?: ScoreMod | undefined
  /** share of the weights that a training step drops */
  readonly dropout: number
  readonly encoding: PositionEncoding
}

/** What one call adds. */
export interface ScoredCall {
  /** float32 0 or 1, [B or 1, h or 1, L or 1, S], as `scoreMask` makes it; S may be less than there is room for */
  readonly mask?: tf.Tensor4D | undefined
  /** float32 [B or 1, h or 1, L or 1, S], as `scoreBias` makes it; S may be less than there is room for */
  readonly bias?: tf.Tensor4D | undefined
  /** [h] */
  readonly sinks?: tf.Tensor1D | undefined
  /** which of a cache's tokens the keys are, and how many each sequence has; absent where nothing is cached and all keys count */
  readonly stored?: { readonly block: StoredBlock; readonly lengths: readonly number[] } | undefined
  readonly training: boolean
  readonly key?: Key | undefined
}

// Scores of a block of queries, where something of their size must exist: 4 MiB.
const blockScores = 1 << 20

/**
 * Attention by the backend's kernel where that knows all the parts. A bias or mask of both positions (ALiBi, `keepFirst`,
 * some blocks of a cache) is made for a block of queries at a time; `scoreMod` and dropout go through plain operations,
 * block by block too.
 * @returns output [B, h, L, dv] and logSumExp [B, h, L]
 */
export function attendScored(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  scoring: Scoring,
  call: ScoredCall,
): Attended {
  const { scale, causal, window, softcap } = scoring
  const { sinks, stored } = call
  const drops = call.training && scoring.dropout > 0
  if (scoring.encoding.bias || scoring.scoreMod || drops || (scoring.keepFirst > 0 && window !== undefined))
    return attendBlocks(q, k, v, scoring, call)
  if (stored && !isFromBeginning(stored) && !isSeenWhole(stored.block, stored.lengths, q.shape[2], scoring))
    return attendBlocks(q, k, v, scoring, call)
  return tidyAttended(() => {
    const options = { scale, softcap, ...overKeys(call, k.shape[2]), sinks }
    if (!stored) return attend(q, k, v, { ...options, causal, window })
    if (!isFromBeginning(stored)) return attend(q, k, v, options)
    return attendCached(q, k, v, asLengths(stored.lengths), { ...options, causal, window })
  })
}

type Stored = NonNullable<ScoredCall['stored']>

/** Whether a block holds all there is, each token in the slot of its position. */
function isFromBeginning({ block, lengths }: Stored): boolean {
  return block.positions === 0 && lengths.every((length, sequence) => block.until[sequence] === length && length <= block.slots) // prettier-ignore
}

/** How far a query sees to its left and right; Infinity for no limit. */
export function windowBounds(window: Scoring['window']): readonly [left: number, right: number] {
  return typeof window === 'number' ? [window - 1, 0] : (window ?? [Infinity, Infinity])
}

/** Whether some of the last queries see some of a block, as far as positions tell. */
export function isSeen(block: StoredBlock, lengths: readonly number[], queries: number, scoring: Scoring): boolean {
  if (typeof block.positions !== 'number') return true
  const first = block.positions
  const [left, right] = windowBounds(scoring.window)
  return lengths.some((length, sequence) => {
    const end = Math.min(first + block.slots, block.until[sequence]!)
    const latest = length - 1 + (scoring.causal ? 0 : right)
    return first < end && first <= latest && (end > length - queries - left || first < scoring.keepFirst)
  })
}

/** Whether all of the last queries see all of a block, as far as positions tell. */
function isSeenWhole(block: StoredBlock, lengths: readonly number[], queries: number, scoring: Scoring): boolean {
  if (typeof block.positions !== 'number') return false
  const [first, end] = [block.positions, block.positions + block.slots]
  const [left, right] = windowBounds(scoring.window)
  return lengths.every((length, sequence) => {
    const latest = length - queries + (scoring.causal ? 0 : right)
    return end <= block.until[sequence]! && end - 1 <= latest && first >= length - 1 - left
  })
}

/** Mask, as bool, and bias for the keys that the kernel is given: those of a block, or as many as a cache has room for. */
function overKeys({ mask, bias, stored }: ScoredCall, keys: number): { mask?: tf.Tensor4D; bias?: tf.Tensor4D } {
  const taken = (x: tf.Tensor4D): tf.Tensor4D => columnsOf(x, stored?.block, keys)
  return {
    // As numbers up to here, because not every backend joins bool.
    ...(mask && { mask: tf.cast(tf.notEqual(taken(mask), 0), 'bool') }),
    ...(bias && { bias: taken(bias) }),
  }
}

/** The columns of a block's tokens; anything where it has none. */
function columnsOf(x: tf.Tensor4D, block: StoredBlock | undefined, keys: number): tf.Tensor4D {
  const [batch, heads, queries, known] = x.shape
  const positions = block?.positions ?? 0
  if (typeof positions === 'number') {
    const count = Math.max(0, Math.min(keys, known - positions))
    const own = count === known ? x : tf.slice(x, [0, 0, 0, positions], [-1, -1, -1, count])
    return count === keys ? own : tf.concat([own, tf.zeros([batch, heads, queries, keys - count])], 3)
  }
  const sequences = Math.max(batch, positions.length)
  const parts = Array.from({ length: sequences }, (_, sequence) => {
    const own = batch === 1 ? x : tf.slice(x, [sequence, 0, 0, 0], [1, -1, -1, -1])
    const columns = (positions[sequence] ?? positions[0]!).map((position) => Math.min(Math.max(position, 0), known - 1))
    return tf.gather(own, tf.tensor1d(columns, 'int32'), 3)
  })
  return tf.concat(parts, 0)
}

function asLengths(lengths: readonly number[]): tf.Tensor1D | number {
  return lengths.every((length) => length === lengths[0]) ? lengths[0]! : tf.tensor1d([...lengths], 'int32')
}

function attendBlocks(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, scoring: Scoring, call: ScoredCall): Attended {
  const [batch, heads, queries] = q.shape
  const keys = k.shape[2]
  const rows = Math.max(1, Math.floor(blockScores / (batch * heads * keys)))
  return tidyAttended(() => {
    const given = { ...call, ...overKeys(call, keys) }
    const parts: Attended[] = []
    for (let from = 0; from < queries; from += rows) {
      const count = Math.min(rows, queries - from)
      parts.push(tidyAttended(() => attendBlock(q, k, v, scoring, given, from, count)))
    }
    if (parts.length === 1) return parts[0]!
    return {
      output: tf.concat(parts.map(({ output }) => output), 2),
      logSumExp: tf.concat(parts.map(({ logSumExp }) => logSumExp), 2),
    } // prettier-ignore
  })
}

function attendBlock(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  scoring: Scoring,
  call: ScoredCall,
  from: number,
  count: number,
): Attended {
  const [heads, queries, keys] = [q.shape[1], q.shape[2], k.shape[2]]
  const { stored } = call
  const lengths = stored?.lengths ?? [keys]
  const place: ScorePlace = {
    query: tf.tensor4d(
      lengths.flatMap((length) => Array.from({ length: count }, (_, row) => length - queries + from + row)),
      [lengths.length, 1, count, 1],
    ),
    key: keyPositions(stored?.block, keys),
  }
  const distance = tf.sub(place.key, place.query) as tf.Tensor4D // [B or 1, 1, rows, S]
  const seen = call.mask && rowsOf(call.mask, from, count)
  const visible = visibleKeys(scoring, distance, place.key, stored?.block.until ?? [keys])
  const mask = seen ? (tf.logicalAnd(visible, seen) as tf.Tensor4D) : visible
  const given = call.bias && rowsOf(call.bias, from, count)
  const own = scoring.encoding.bias?.(heads, distance)
  const bias = given && own ? (tf.add(given, own) as tf.Tensor4D) : (given ?? own)
  const block = rowsOf(q, from, count)
  const { scale, softcap, scoreMod } = scoring
  const common = { scale, softcap, mask, bias, sinks: call.sinks }
  const drop = call.training && scoring.dropout > 0 ? { rate: scoring.dropout, key: call.key!.fold(from) } : undefined
  if (scoreMod || drop)
    return attendComposed(block, k, v, { ...common, drop, scoreMod: scoreMod && ((scores) => scoreMod(scores, place)) })
  if (!stored || !isFromBeginning(stored)) return attend(block, k, v, common)
  return attendCached(block, k, v, asLengths(lengths), { ...common, causal: false })
}

/** Where keys stand, [B or 1, 1, 1, S]. */
function keyPositions(block: StoredBlock | undefined, keys: number): tf.Tensor4D {
  const positions = block?.positions ?? 0
  if (typeof positions === 'number') return tf.reshape(tf.range(positions, positions + keys), [1, 1, 1, keys])
  return tf.tensor4d(positions.flat(), [positions.length, 1, 1, keys])
}

/** Which keys a block of queries sees, bool [B or 1, 1, rows, S]. */
function visibleKeys(
  { causal, window, keepFirst }: Scoring,
  distance: tf.Tensor4D,
  key: tf.Tensor4D,
  until: readonly number[],
): tf.Tensor4D {
  const [left, right] = windowBounds(window)
  const limits = tf.tensor4d([...until], [until.length, 1, 1, 1])
  const isStored = tf.logicalAnd(tf.greaterEqual(key, 0), tf.less(key, limits))
  // Over the distances, so that it has their shape even where nothing is hidden.
  let visible = tf.logicalAnd(isStored, tf.less(distance, Infinity))
  const latest = causal ? 0 : right
  if (latest < Infinity) visible = tf.logicalAnd(visible, tf.lessEqual(distance, latest))
  if (left < Infinity) {
    const near = tf.greaterEqual(distance, -left)
    visible = tf.logicalAnd(visible, keepFirst > 0 ? tf.logicalOr(near, tf.less(key, keepFirst)) : near)
  }
  return visible as tf.Tensor4D
}

/** The rows of a tensor whose axis 2 are queries, or that is the same for all of them. */
function rowsOf(x: tf.Tensor4D, from: number, count: number): tf.Tensor4D {
  return x.shape[2] === 1 || count === x.shape[2] ? x : tf.slice(x, [0, 0, from, 0], [-1, -1, count, -1])
}

/** Sizes of the scores of a call. */
export interface ScoreSizes {
  readonly batch: number
  readonly heads: number
  readonly queries: number
  /** tokens that may be seen, those of a cache included */
  readonly keys: number
}

/**
 * A mask as `attendScored` takes it.
 * @param mask bool or 0/1, [L, S], [B, L, S] or [B, h, L, S]; sizes may be 1, except S
 * @throws TypeError when it is no tensor
 * @throws RangeError when its shape does not fit
 */
export function scoreMask(mask: tf.Tensor, sizes: ScoreSizes): tf.Tensor4D {
  requireTensor('mask', mask)
  return tf.tidy(() => tf.cast(asScores('mask', mask, sizes), 'float32'))
}

/**
 * A bias as `attendScored` takes it.
 * @param bias float32 [L, S], [B, L, S] or [B, h, L, S]; sizes may be 1, except S; -Infinity hides a key
 * @throws TypeError when it is no tensor
 * @throws RangeError when its shape or type does not fit
 */
export function scoreBias(bias: tf.Tensor, sizes: ScoreSizes): tf.Tensor4D {
  requireTensor('bias', bias)
  if (bias.dtype !== 'float32') throw new RangeError(`bias: expected float32, got ${bias.dtype}`)
  return asScores('bias', bias, sizes)
}

function asScores(name: string, x: tf.Tensor, { batch, heads, queries, keys }: ScoreSizes): tf.Tensor4D {
  const shape = x.rank === 2 ? [1, 1, ...x.shape] : x.rank === 3 ? [x.shape[0]!, 1, x.shape[1]!, x.shape[2]!] : x.shape
  const full = [batch, heads, queries, keys]
  if (shape.length !== 4 || shape.some((size, at) => size !== full[at] && (size !== 1 || at === 3)))
    throw new RangeError(
      `${name}: expected [${queries}, ${keys}], [${batch}, ${queries}, ${keys}] or ${describeShape(full)}, got ` +
        describeShape(x.shape),
    )
  return tf.reshape(x, shape as [number, number, number, number])
}

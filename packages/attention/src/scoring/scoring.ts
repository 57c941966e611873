import * as tf from '@tensorflow/tfjs-core'
import { attend, attendCached, type AttendOptions, describeShape, type Key, requireTensor } from '@x/core-gpu'
import type { PositionEncoding } from '../positions/position.ts'
import { attendComposed } from './composed.ts'

/** Where the scores of a block of queries stand. */
export interface ScorePlace {
  /** index of each query's own token, float32 [B or 1, 1, rows, 1] */
  readonly query: tf.Tensor4D
  /** index of each key's token, float32 [1, 1, 1, S] */
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
  /** how many keys a cache holds of each sequence; absent where nothing is cached and all keys count */
  readonly lengths?: readonly number[] | undefined
  readonly training: boolean
  readonly key?: Key | undefined
}

// Scores of a block of queries, where something of their size must exist: 4 MiB.
const blockScores = 1 << 20

/**
 * Attention by the backend's kernel where that knows all the parts. A bias or mask of both positions (ALiBi, `keepFirst`)
 * is made for a block of queries at a time; `scoreMod` and dropout go through plain operations, block by block too.
 * @returns [B, h, L, dv]
 */
export function attendScored(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  scoring: Scoring,
  call: ScoredCall,
): tf.Tensor4D {
  const drops = call.training && scoring.dropout > 0
  const byBlocks = scoring.encoding.bias || scoring.scoreMod || drops
  if (byBlocks || (scoring.keepFirst > 0 && scoring.window !== undefined)) return attendBlocks(q, k, v, scoring, call)
  const { scale, causal, window, softcap } = scoring
  const { sinks, lengths } = call
  return tf.tidy(() => {
    const options = { scale, causal, window, softcap, ...overRoom(call, k.shape[2]), sinks }
    return lengths ? attendCached(q, k, v, asLengths(lengths), options).output : attend(q, k, v, options).output
  })
}

/** Mask, as bool, and bias for as many keys as the kernel is given: with a cache, its capacity. */
function overRoom({ mask, bias }: ScoredCall, keys: number): { mask?: tf.Tensor4D; bias?: tf.Tensor4D } {
  const widened = (x: tf.Tensor4D): tf.Tensor4D => {
    const [batch, heads, queries, known] = x.shape
    return known === keys ? x : tf.concat([x, tf.zeros([batch, heads, queries, keys - known])], 3)
  }
  return {
    // As numbers up to here, because not every backend joins bool.
    ...(mask && { mask: tf.cast(tf.notEqual(widened(mask), 0), 'bool') }),
    ...(bias && { bias: widened(bias) }),
  }
}

function asLengths(lengths: readonly number[]): tf.Tensor1D | number {
  return lengths.every((length) => length === lengths[0]) ? lengths[0]! : tf.tensor1d([...lengths], 'int32')
}

function attendBlocks(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, scoring: Scoring, call: ScoredCall): tf.Tensor4D {
  const [batch, heads, queries] = q.shape
  const keys = k.shape[2]
  const rows = Math.max(1, Math.floor(blockScores / (batch * heads * keys)))
  return tf.tidy(() => {
    const given = { ...call, ...overRoom(call, keys) }
    const outputs: tf.Tensor4D[] = []
    for (let from = 0; from < queries; from += rows) {
      const count = Math.min(rows, queries - from)
      outputs.push(tf.tidy(() => attendBlock(q, k, v, scoring, given, from, count)))
    }
    return outputs.length === 1 ? outputs[0]! : tf.concat(outputs, 2)
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
): tf.Tensor4D {
  const [heads, queries, keys] = [q.shape[1], q.shape[2], k.shape[2]]
  const lengths = call.lengths ?? [keys]
  const place: ScorePlace = {
    query: tf.tensor4d(
      lengths.flatMap((length) => Array.from({ length: count }, (_, row) => length - queries + from + row)),
      [lengths.length, 1, count, 1],
    ),
    key: tf.reshape(tf.range(0, keys), [1, 1, 1, keys]),
  }
  const distance = tf.sub(place.key, place.query) as tf.Tensor4D // [B or 1, 1, rows, S]
  const seen = call.mask && rowsOf(call.mask, from, count)
  const visible = visibleKeys(scoring, distance, place.key, lengths)
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
  if (!call.lengths) return attend(block, k, v, common).output
  return attendCached(block, k, v, asLengths(call.lengths), { ...common, causal: false }).output
}

/** Which keys a block of queries sees, bool [B or 1, 1, rows, S]. */
function visibleKeys(
  { causal, window, keepFirst }: Scoring,
  distance: tf.Tensor4D,
  key: tf.Tensor4D,
  lengths: readonly number[],
): tf.Tensor4D {
  const [left, right] = typeof window === 'number' ? [window - 1, 0] : (window ?? [Infinity, Infinity])
  const limits = tf.tensor4d([...lengths], [lengths.length, 1, 1, 1])
  // Over the distances, so that it has their shape even where nothing is hidden.
  let visible = tf.logicalAnd(tf.less(key, limits), tf.less(distance, Infinity))
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

import * as tf from '@tensorflow/tfjs-core'
import { attend, BaseModule, describeValue, type Key, Linear } from '@x/core-gpu'
import type { Attention, AttentionOptions } from '../attention.ts'
import type { CacheOptions, KvCache, Streams, Tokens } from '../caches/cache.ts'
import { contiguous } from '../caches/contiguous/contiguous.ts'
import type { PositionEncoding, Positions } from '../positions/position.ts'
import { joinHeads } from '../projections/heads.ts'
import { scoreBias, scoreMask } from '../scoring/scoring.ts'
import { isCache, requireTokens } from '../softmax-attention.ts'

/** Queries that are computed together, and where they and the keys stand. */
export interface Rows {
  /** index of the first of them among the queries of the call */
  readonly from: number
  readonly count: number
  /** positions of these queries, float32 [B or 1, 1, count, 1] */
  readonly query: tf.Tensor4D
}

/** What a call adds to what an attention sees by itself. */
export interface SparseCall {
  /** tokens of each sequence, those of the call included: its last query stands at the last */
  readonly lengths: readonly number[]
  /** float32 0 or 1, [B or 1, h or 1, L or 1, S] */
  readonly mask?: tf.Tensor4D | undefined
  /** float32 [B or 1, h or 1, L or 1, S] */
  readonly bias?: tf.Tensor4D | undefined
}

// Numbers of the scores of the queries that are computed together: 4 MiB.
const rowScores = 1 << 20

/**
 * What sparse attentions do alike: caches, positions, masks, and queries some at a time, so that nothing of the size of all
 * pairs exists. At reference quality: what a query does not see is masked, not left out, unless a subclass leaves it out.
 */
export abstract class SparseAttention extends BaseModule implements Attention {
  readonly out: Linear
  readonly dim: number
  readonly heads: number
  readonly #encoding: PositionEncoding

  protected constructor(dim: number, heads: number, valueWidth: number, encoding: PositionEncoding, key: Key) {
    super()
    if (encoding.bias || encoding.turnsValues)
      throw new TypeError(`positions: expected none or rope, got ${encoding.encoding}`)
    this.dim = dim
    this.heads = heads
    this.out = new Linear(heads * valueWidth, dim, { key, bias: false })
    this.#encoding = encoding
  }

  /** what is remembered of one token */
  abstract get streams(): Streams
  /** Tokens as they are remembered. */
  protected abstract tokens(x: tf.Tensor3D, turn: Turn): Tokens
  /** @returns [B, h, L, dv], of all tokens, [B, heads, S, width] */
  protected abstract attend(x: tf.Tensor3D, tokens: Tokens, call: SparseCall, turn: Turn): tf.Tensor4D

  forward(x: tf.Tensor3D, options: AttentionOptions = {}): tf.Tensor3D {
    requireTokens('x', x, this.dim)
    const { cache, positions, firstValues, mask, bias } = options
    const [batch, length] = x.shape
    if (firstValues) throw new TypeError('firstValues: this attention mixes none in')
    if (cache) this.#requireCache(cache, batch, length, options)
    const before = cache?.lengths ?? [0]
    const at = positions ?? following(before, length)
    if (positions) requirePositions(positions, batch, length)
    return tf.tidy(() => {
      const sizes = { batch, heads: this.heads, queries: length, keys: Math.max(...before) + length }
      const call = {
        lengths: before.map((count) => count + length),
        mask: mask && scoreMask(mask, sizes),
        bias: bias && scoreBias(bias, sizes),
      }
      const turn: Turn = (z) => this.#encoding.rotate?.(z, at, { inverse: false }) ?? z
      const own = this.tokens(x, turn)
      cache?.append(own)
      return this.out.forward(joinHeads(this.attend(x, cache?.export() ?? own, call, turn))) as tf.Tensor3D
    })
  }

  createCache({ kind = contiguous(), ...options }: CacheOptions): KvCache {
    return kind.create(this.streams, options)
  }

  #requireCache(cache: KvCache, batch: number, length: number, { training }: AttentionOptions): void {
    if (!isCache(cache)) throw new TypeError(`cache: expected one of createCache, got ${describeValue(cache)}`)
    if (training) throw new TypeError('cache: no gradient flows through one, so none is for training')
    const wanted = JSON.stringify(this.streams)
    if (JSON.stringify(cache.streams) !== wanted)
      throw new RangeError(`cache: expected streams ${wanted}, got ${JSON.stringify(cache.streams)}`)
    if (cache.lengths.length !== batch)
      throw new RangeError(`cache: expected one for a batch of ${batch}, got ${cache.lengths.length}`)
    const room = cache.capacity - Math.max(...cache.lengths)
    if (length > room) throw new RangeError(`cache: expected room for ${length} more positions, got ${room}`)
  }
}

/** Turns [B, heads, L, width] by the positions of the call's tokens. */
export type Turn = (x: tf.Tensor4D) => tf.Tensor4D

/** Runs over queries some at a time, and joins what comes of them: [B, h, L, dv]. */
export function overRows(
  q: tf.Tensor4D,
  keys: number,
  { lengths }: SparseCall,
  body: (rows: Rows) => tf.Tensor4D,
): tf.Tensor4D {
  const [batch, heads, queries] = q.shape
  const most = Math.max(1, Math.floor(rowScores / (batch * heads * keys)))
  const parts: tf.Tensor4D[] = []
  for (let from = 0; from < queries; from += most) {
    const count = Math.min(most, queries - from)
    parts.push(
      tf.tidy(() => {
        const own = lengths.flatMap((length) => Array.from({ length: count }, (_, i) => length - queries + from + i))
        return body({ from, count, query: tf.tensor4d(own, [lengths.length, 1, count, 1]) })
      }),
    )
  }
  return parts.length === 1 ? parts[0]! : tf.concat(parts, 2)
}

/** Positions of tokens 0 to count - 1, [1, 1, 1, count]. */
export function tokenPositions(count: number): tf.Tensor4D {
  return tf.reshape(tf.range(0, count), [1, 1, 1, count])
}

/** Rows of a tensor whose axis 2 are the queries, or that is the same for all. */
export function rowsOf(x: tf.Tensor4D, { from, count }: Rows): tf.Tensor4D {
  return x.shape[2] === 1 ? x : tf.slice(x, [0, 0, from, 0], [-1, -1, count, -1])
}

/**
 * Attention of some queries over the tokens that they see.
 * @param visible bool, broadcastable to [B, h, count, S]
 * @returns [B, h, count, dv]
 */
export function attendVisible(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  visible: tf.Tensor,
  rows: Rows,
  { mask, bias }: SparseCall,
  scale: number,
): tf.Tensor4D {
  const seen = mask ? tf.logicalAnd(visible, tf.notEqual(rowsOf(mask, rows), 0)) : visible
  return attend(rowsOf(q, rows), k, v, { scale, mask: seen, ...(bias && { bias: rowsOf(bias, rows) }) }).output
}

function following(before: readonly number[], length: number): Positions {
  const from = (start: number): number[] => Array.from({ length }, (_, i) => start + i)
  return before.every((start) => start === before[0]) ? from(before[0]!) : before.map(from)
}

function requirePositions(given: Positions, batch: number, length: number): void {
  const lists = (given.some((entry) => typeof entry !== 'number') ? given : [given]) as readonly (readonly number[])[]
  const fits = lists.every((list) => list.length === length && list.every(Number.isSafeInteger))
  if (!fits || (lists.length !== 1 && lists.length !== batch))
    throw new RangeError(`positions: expected ${length} whole numbers, or as many for each of ${batch} sequences`)
}

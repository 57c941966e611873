import * as tf from '@tensorflow/tfjs-core'
import {
  type Attended,
  BaseModule,
  describeShape,
  describeValue,
  type Key,
  Linear,
  mergeAttention,
  requireShape,
  variable,
} from '@x/core-gpu'
import type { Attention, AttentionOptions, ForwardOptions } from './attention.ts'
import type { CacheOptions, KvCache, Reach, ReadOptions, StoredBlock, Tokens } from './caches/cache.ts'
import { contiguous } from './caches/contiguous/contiguous.ts'
import { none } from './positions/none/none.ts'
import type { PositionEncoding, Positions } from './positions/position.ts'
import { joinHeads } from './projections/heads.ts'
import type { Projection, ProjectionContext } from './projections/projection.ts'
import {
  attendScored,
  isSeen,
  type ScoredCall,
  scoreBias,
  scoreMask,
  type ScoreMod,
  type Scoring,
  windowBounds,
} from './scoring/scoring.ts'
import { tidyAttended } from './scoring/tidy-attended.ts'

/** The parts of an attention. */
export interface SoftmaxAttentionParts<P extends Projection = Projection> {
  /** how tokens become queries, keys and values */
  readonly projection: P
  /** how scores depend on where tokens stand; default `none()` */
  readonly positions?: PositionEncoding | undefined
  /** whether a query sees no later key; default true */
  readonly causal?: boolean | undefined
  /** how many of the last keys a query sees, its own included; or how many to its left and right, its own apart */
  readonly window?: Scoring['window']
  /** how many of the first keys every query sees beside its window (arXiv 2309.17453); default 0 */
  readonly keepFirst?: number | undefined
  /** c of c tanh(score / c); default: none */
  readonly softcap?: number | undefined
  /** one more score for each head, without a value: learned, or this number; default: none */
  readonly sinks?: 'learned' | number | undefined
  /** whether outputs pass a sigmoid gate, of each element or each head (arXiv 2505.06708); default: none */
  readonly gate?: 'element' | 'head' | undefined
  /** changes scores by plain operations; default: none */
  readonly scoreMod?: ScoreMod | undefined
  /** share of the weights that a training step drops; default 0 */
  readonly dropout?: number | undefined
  /** factor of q.k; default d^-1/2 */
  readonly scale?: number | undefined
  /** whether the last projection has a bias; default false */
  readonly outBias?: boolean | undefined
  readonly key: Key
}

/** Softmax attention: projections x positions x kernel x cache. */
export class SoftmaxAttention<P extends Projection = Projection> extends BaseModule implements Attention {
  readonly projection: P
  readonly gate: Linear | null
  /** [h] */
  readonly sinks: tf.Variable | null
  readonly out: Linear
  readonly #scoring: Scoring
  readonly #parts: SoftmaxAttentionParts<P>

  /**
   * @throws TypeError when positions turn values, and the projection has none to turn
   * @throws RangeError when what turns has no even width
   */
  constructor(parts: SoftmaxAttentionParts<P>) {
    super()
    const { projection, positions = none(), causal = true, keepFirst = 0, sinks, gate, dropout = 0 } = parts
    const { dim, heads, keyWidth, valueWidth } = projection
    const [gateKey, outKey] = parts.key.split(2) as [Key, Key]
    requireTurnable(positions, projection)
    this.#parts = parts
    this.projection = projection
    this.gate =
      gate === undefined
        ? null
        : new Linear(dim, gate === 'head' ? heads : heads * valueWidth, { key: gateKey, bias: false })
    const first = sinks === 'learned' ? 0 : sinks
    this.sinks = first === undefined ? null : variable(tf.fill([heads], first), { trainable: sinks === 'learned' })
    this.out = new Linear(heads * valueWidth, dim, { key: outKey, bias: parts.outBias ?? false })
    this.#scoring = {
      scale: (parts.scale ?? keyWidth ** -0.5) * (positions.scoreScale ?? 1),
      causal,
      window: parts.window,
      keepFirst,
      softcap: parts.softcap,
      scoreMod: parts.scoreMod,
      dropout,
      encoding: positions,
    }
  }

  get dim(): number {
    return this.projection.dim
  }

  get heads(): number {
    return this.projection.heads
  }

  /** How scores depend on where tokens stand. */
  get positions(): PositionEncoding {
    return this.#scoring.encoding
  }

  /**
   * The same attention over another projection, with copies of its other weights.
   * @throws RangeError when the projection has other heads, or other widths of tokens or values
   */
  withProjection<Q extends Projection>(projection: Q): SoftmaxAttention<Q> {
    for (const name of ['dim', 'heads', 'valueWidth'] as const)
      if (projection[name] !== this.projection[name])
        throw new RangeError(`projection: expected ${name} ${this.projection[name]}, got ${projection[name]}`)
    const made = new SoftmaxAttention<Q>({ ...this.#parts, projection })
    for (const part of ['gate', 'out'] as const) if (this[part]) made[part]!.load(this[part].state())
    if (this.sinks) made.sinks!.assign(this.sinks)
    return made
  }

  forward(x: tf.Tensor3D, options: AttentionOptions = {}): tf.Tensor3D {
    requireTokens('x', x, this.dim)
    const { cache, firstValues } = options
    const [batch, length] = x.shape
    const before = cache?.lengths ?? [0]
    if (cache) this.#requireCache(cache, batch, length, options)
    if (firstValues && !this.projection.takesFirstValues)
      throw new TypeError('firstValues: this attention mixes none in')
    const positions = this.#positions(options.positions, before, batch, length)
    return tf.tidy(() => {
      const keys = Math.max(...before) + length
      const call = this.#call(batch, length, keys, options)
      const turn = this.#turnAt(positions)
      const context = { turn, turnsValues: this.#scoring.encoding.turnsValues ?? false, firstValues }
      const q = this.projection.queries(x, context)
      const tokens = this.projection.tokens(x, context)
      const lengths = before.map((count) => count + length)
      const o = cache
        ? cache.append(tokens, (blocks) => this.#attendStored(q, blocks, lengths, call), this.#readOptions())
        : this.#attend(q, tokens, keys, call).output
      return this.#output(x, context.turnsValues ? turn(o, true) : o)
    })
  }

  /**
   * Attends over other tokens, which stay as they are; only where nothing turns.
   * @param x float32 [B, L, D]
   * @param seen tokens as the projection makes them, [B, heads, S, width], or a cache
   * @param keys S, or how many tokens the cache holds at most
   */
  attendOver(x: tf.Tensor3D, seen: Tokens | KvCache, keys: number, options: ForwardOptions): tf.Tensor3D {
    return tf.tidy(() => {
      const call = this.#call(x.shape[0], x.shape[1], keys, options)
      const q = this.projection.queries(x, still)
      const o = isCache(seen)
        ? this.#attendStored(q, seen.blocks(this.#readOptions()), seen.lengths, call)
        : this.#attend(q, seen, keys, call).output
      return this.#output(x, o)
    })
  }

  createCache({ kind = this.projection.cacheKind ?? contiguous(), ...options }: CacheOptions): KvCache {
    return kind.create(this.projection.streams, { ...options, reach: this.#reach })
  }

  /** How far back queries see. */
  get #reach(): Reach {
    return { last: windowBounds(this.#scoring.window)[0] + 1, first: this.#scoring.keepFirst }
  }

  #readOptions(): ReadOptions {
    const hasKernel = tf.getKernel('XAttendCachedHalf', tf.getBackend()) !== undefined
    return { half: hasKernel && (this.projection.readsHalves ?? false) && !this.#scoring.scoreMod }
  }

  #attend(q: tf.Tensor4D, tokens: Tokens, keys: number, call: ScoredCall): Attended {
    const view = this.projection.view(q, tokens, { queries: q.shape[2], keys })
    const { output, logSumExp } = attendScored(view.q, view.k, view.v, this.#scoring, call)
    return { output: view.finish?.(output) ?? output, logSumExp }
  }

  /** Attends over the blocks of a cache that are seen, and joins what they give. */
  #attendStored(
    q: tf.Tensor4D,
    blocks: readonly StoredBlock[],
    lengths: readonly number[],
    call: ScoredCall,
  ): tf.Tensor4D {
    const seen = blocks.filter((block) => isSeen(block, lengths, q.shape[2], this.#scoring))
    let merged: Attended | undefined
    for (const block of seen.length > 0 ? seen : blocks.slice(0, 1)) {
      const known = merged
      merged = tidyAttended(() => {
        const keys = block.positions === 0 ? Math.min(block.slots, Math.max(...lengths)) : block.slots
        // A sink counts once.
        const own = { ...call, stored: { block, lengths }, ...(known && { sinks: undefined }) }
        const next = this.#attend(q, block.read(), keys, own)
        return known ? mergeAttention([known, next]) : next
      })
      if (known) tf.dispose({ ...known })
    }
    return merged!.output
  }

  /** @returns [B, L, D] of outputs [B, h, L, dv] */
  #output(x: tf.Tensor3D, o: tf.Tensor4D): tf.Tensor3D {
    const joined = joinHeads(o)
    if (!this.gate) return this.out.forward(joined) as tf.Tensor3D
    const open = tf.sigmoid(this.gate.forward(x)) // [B, L, h or h dv]
    if (open.shape[2] === joined.shape[2]) return this.out.forward(tf.mul(joined, open)) as tf.Tensor3D
    const [batch, length] = x.shape
    const gated = tf.mul(tf.reshape(joined, [batch, length, this.heads, -1]), tf.expandDims(open, 3))
    return this.out.forward(tf.reshape(gated, joined.shape)) as tf.Tensor3D
  }

  #call(batch: number, queries: number, keys: number, options: ForwardOptions): ScoredCall {
    const { mask, bias, training = false, key } = options
    if (training && this.#scoring.dropout > 0 && !key)
      throw new RangeError('key: dropout needs a key in training, got none')
    const sizes = { batch, heads: this.heads, queries, keys }
    return {
      mask: mask && scoreMask(mask, sizes),
      bias: bias && scoreBias(bias, sizes),
      sinks: (this.sinks ?? undefined) as tf.Tensor1D | undefined,
      training,
      key,
    }
  }

  #turnAt(positions: Positions): (x: tf.Tensor4D, inverse?: boolean) => tf.Tensor4D {
    const { encoding } = this.#scoring
    return (x, inverse = false) => encoding.rotate?.(x, positions, { inverse }) ?? x
  }

  /** Positions that were given, or those after what a cache holds. */
  #positions(given: Positions | undefined, before: readonly number[], batch: number, length: number): Positions {
    if (given === undefined) {
      const from = (start: number): number[] => Array.from({ length }, (_, i) => start + i)
      return before.every((start) => start === before[0]) ? from(before[0]!) : before.map(from)
    }
    if (this.#scoring.encoding.bias)
      throw new TypeError(`positions: ${this.#scoring.encoding.encoding} counts tokens, and takes none`)
    requirePositions(given, batch, length)
    return given
  }

  #requireCache(cache: KvCache, batch: number, length: number, { training }: AttentionOptions): void {
    if (!isCache(cache)) throw new TypeError(`cache: expected one of createCache, got ${describeValue(cache)}`)
    if (training) throw new TypeError('cache: no gradient flows through one, so none is for training')
    const wanted = JSON.stringify(this.projection.streams)
    if (JSON.stringify(cache.streams) !== wanted)
      throw new RangeError(`cache: expected streams ${wanted}, got ${JSON.stringify(cache.streams)}`)
    if (cache.lengths.length !== batch)
      throw new RangeError(`cache: expected one for a batch of ${batch}, got ${cache.lengths.length}`)
    const { last, first } = this.#reach
    if (cache.reach.last < Infinity && (cache.reach.last < last || cache.reach.first < first))
      throw new RangeError(
        `cache: expected one that keeps what the attention sees, got one for ${describeReach(cache.reach)}`,
      )
    const stored = Math.max(...cache.lengths)
    if (stored + length > cache.capacity)
      throw new RangeError(
        `cache: expected room for ${length} more positions, got ${cache.capacity - stored} of ${cache.capacity}`,
      )
  }
}

/** What projections know where nothing turns. */
export const still: ProjectionContext = { turn: (x) => x, turnsValues: false }

/** @throws TypeError, RangeError unless `x` is float32 [B, L, dim] with at least one token */
export function requireTokens(name: string, x: tf.Tensor3D, dim: number): void {
  requireShape(name, x, [null, null, dim])
  if (x.dtype !== 'float32') throw new RangeError(`${name}: expected float32, got ${x.dtype}`)
  if (x.size === 0) throw new RangeError(`${name}: expected at least one token, got ${describeShape(x.shape)}`)
}

/** Whether a value is a cache. */
export function isCache(value: unknown): value is KvCache {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['append', 'blocks', 'truncate', 'fork', 'export'].every(
      (name) => typeof (value as Record<string, unknown>)[name] === 'function',
    )
  )
}

function describeReach({ last, first }: Reach): string {
  return first > 0 ? `the last ${last} tokens and the first ${first}` : `the last ${last} tokens`
}

function requirePositions(given: Positions, batch: number, length: number): void {
  const own = given.some((entry) => typeof entry !== 'number')
  const lists = (own ? given : [given]) as readonly (readonly number[])[]
  if ((own && lists.length !== batch) || lists.some((list) => list.length !== length))
    throw new RangeError(`positions: expected ${length}, or ${length} for each of ${batch} sequences`)
  const wrong = lists.flat().find((position) => !Number.isSafeInteger(position))
  if (wrong !== undefined)
    throw new RangeError(`positions: expected whole numbers within 2^53, got ${describeValue(wrong)}`)
}

function requireTurnable({ turnsValues = false, rotate, fit }: PositionEncoding, projection: Projection): void {
  if (turnsValues && !projection.canTurnValues)
    throw new TypeError('positions: expected an encoding that leaves values alone, since these are made of latents')
  if (rotate && projection.turnedWidth > 0) fit?.(projection.turnedWidth)
}

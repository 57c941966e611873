import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, Linear, RmsNorm } from '@x/core-gpu'
import type { CacheKind, Streams } from '../caches/cache.ts'
import { latent, latentStreams } from '../caches/latent/latent.ts'
import { forAllHeads, perHeadProduct, splitHeads } from './heads.ts'
import type { Projection, ProjectionContext, View, ViewSizes } from './projection.ts'

/** How attention over latents is computed: keys and values of each head made first, or queries taken into the latents' space. */
export type LatentPath = 'expanded' | 'absorbed'

export interface LatentProjectionOptions {
  /** D */
  readonly dim: number
  readonly heads: number
  /** width of all latents of a token together */
  readonly rank: number
  /** latents of a token, each of which serves heads / groups heads */
  readonly groups: number
  /** rank of the queries' projection; 0 for full */
  readonly queryRank: number
  /** width of the part of queries and keys that does not turn */
  readonly nopeDim: number
  /** width of the part that turns, its key shared by all heads; 0 for none */
  readonly ropeDim: number
  readonly valueDim: number
  /** whether latents are normalised */
  readonly latentNorm: boolean
  readonly normEpsilon: number
  /** `auto`: whichever takes fewer products */
  readonly path: LatentPath | 'auto'
  readonly key: Key
}

/**
 * Queries of h heads; of a token only latents and one turned key are remembered, of which all heads make their keys and
 * values. arXiv 2405.04434; with more than one latent, arXiv 2505.21487
 */
export class LatentProjection extends BaseModule implements Projection {
  readonly q: Linear | null
  readonly qDown: Linear | null
  readonly qNorm: RmsNorm | null
  readonly qUp: Linear | null
  /** gives [latents | shared key] */
  readonly kvDown: Linear
  readonly kvNorm: RmsNorm | null
  /** of each head, keys and values from its latent: weight [heads * (nopeDim + valueDim), rank / groups] */
  readonly kvUp: Linear
  readonly dim: number
  readonly heads: number
  readonly groups: number
  readonly keyWidth: number
  readonly valueWidth: number
  readonly turnedWidth: number
  readonly canTurnValues = false as const
  readonly takesFirstValues = false as const
  readonly streams: Streams
  readonly path: LatentPath | 'auto'
  readonly #rank: number
  readonly #nope: number

  constructor(options: LatentProjectionOptions) {
    super()
    const { dim, heads, rank, groups, queryRank, nopeDim, ropeDim, valueDim, latentNorm, normEpsilon } = options
    const [qKey, upKey, kvKey, kvUpKey] = options.key.split(4) as [Key, Key, Key, Key]
    const width = nopeDim + ropeDim
    const linear = (from: number, to: number, key: Key): Linear => new Linear(from, to, { key, bias: false })
    const low = queryRank > 0
    this.q = low ? null : linear(dim, heads * width, qKey)
    this.qDown = low ? linear(dim, queryRank, qKey) : null
    this.qNorm = low ? new RmsNorm(queryRank, { epsilon: normEpsilon }) : null
    this.qUp = low ? linear(queryRank, heads * width, upKey) : null
    this.kvDown = linear(dim, rank + ropeDim, kvKey)
    this.kvNorm = latentNorm ? new RmsNorm(rank / groups, { epsilon: normEpsilon }) : null
    this.kvUp = linear(rank / groups, heads * (nopeDim + valueDim), kvUpKey)
    this.dim = dim
    this.heads = heads
    this.groups = groups
    this.keyWidth = width
    this.valueWidth = valueDim
    this.turnedWidth = ropeDim
    this.path = options.path
    this.#rank = rank / groups
    this.#nope = nopeDim
    this.streams = groups === 1
      ? latentStreams(rank, ropeDim)
      : { latent: [groups, rank / groups], ...(ropeDim > 0 && { key: [1, ropeDim] as const }) } // prettier-ignore
  }

  queries(x: tf.Tensor3D, { turn }: ProjectionContext): tf.Tensor4D {
    const flat = this.q ? this.q.forward(x) : this.qUp!.forward(this.qNorm!.forward(this.qDown!.forward(x)))
    const q = splitHeads(flat, this.heads) // [B, h, L, nope + rope]
    if (this.turnedWidth === 0) return q
    const [still, turning] = tf.split(q, [this.#nope, this.turnedWidth], 3) as [tf.Tensor4D, tf.Tensor4D]
    return tf.concat([still, turn(turning)], 3)
  }

  tokens(x: tf.Tensor3D, { turn }: ProjectionContext): Record<string, tf.Tensor4D> {
    const total = this.#rank * this.groups
    const [latents, shared] = tf.split(this.kvDown.forward(x), [total, this.turnedWidth], 2) as [tf.Tensor, tf.Tensor]
    const split = splitHeads(latents, this.groups) // [B, groups, L, rank]
    const latent = (this.kvNorm ? this.kvNorm.forward(split) : split) as tf.Tensor4D
    const key = this.turnedWidth > 0 ? turn(splitHeads(shared, 1)) : undefined // [B, 1, L, rope]
    if (this.groups > 1) return { latent, ...(key && { key }) }
    return { tokens: key ? tf.concat([latent, key], 3) : latent }
  }

  view(q: tf.Tensor4D, tokens: Readonly<Record<string, tf.Tensor4D>>, sizes: ViewSizes): View {
    const path = this.path === 'auto' ? this.cheaperPath(sizes) : this.path
    return path === 'absorbed' ? this.#absorbed(q, tokens) : this.#expanded(q, tokens, sizes)
  }

  get cacheKind(): CacheKind | undefined {
    return this.groups === 1 ? latent({ rank: this.#rank, ropeDim: this.turnedWidth }) : undefined
  }

  /** The path that takes fewer products for these sizes. */
  cheaperPath({ queries, keys }: ViewSizes): LatentPath {
    const [nope, rope, values, rank] = [this.#nope, this.turnedWidth, this.valueWidth, this.#rank]
    const perHead = rank * (nope + values)
    const expanded = keys * perHead + queries * keys * (nope + rope + values)
    const absorbed = queries * perHead + queries * keys * 2 * (rank + rope)
    return absorbed < expanded ? 'absorbed' : 'expanded'
  }

  /** The part of `kvUp` that makes keys, [h, nope, rank], and the one that makes values, [h, dv, rank]. */
  #matrices(): [keys: tf.Tensor3D, values: tf.Tensor3D] {
    const each = tf.reshape(this.kvUp.weight, [this.heads, this.#nope + this.valueWidth, this.#rank])
    return tf.split(each, [this.#nope, this.valueWidth], 1) as [tf.Tensor3D, tf.Tensor3D]
  }

  /** Latents [B, groups, S, rank] and, where something turns, shared keys [B, 1, S, rope], of the first `keys` tokens. */
  #parts(tokens: Readonly<Record<string, tf.Tensor4D>>, keys: number): { latent: tf.Tensor4D; key?: tf.Tensor4D } {
    const first = (x: tf.Tensor4D): tf.Tensor4D =>
      x.shape[2] === keys ? x : tf.slice(x, [0, 0, 0, 0], [-1, -1, keys, -1])
    const { tokens: joined, latent, key } = tokens
    if (!joined) return { latent: first(latent!), ...(key && { key: first(key) }) }
    if (this.turnedWidth === 0) return { latent: first(joined) }
    const [own, shared] = tf.split(first(joined), [this.#rank, this.turnedWidth], 3) as [tf.Tensor4D, tf.Tensor4D]
    return { latent: own, key: shared }
  }

  #expanded(q: tf.Tensor4D, tokens: Readonly<Record<string, tf.Tensor4D>>, { keys }: ViewSizes): View {
    const { latent, key } = this.#parts(tokens, keys)
    const [batch, , length] = latent.shape
    const each = this.heads / this.groups
    const width = this.#nope + this.valueWidth
    const weights = tf.split(this.kvUp.weight, this.groups, 0) // each [h / groups * (nope + dv), rank]
    const made = tf.split(latent, this.groups, 1).map((own, group) => {
      const rows = tf.reshape(own, [batch * length, this.#rank]) as tf.Tensor2D
      const flat = tf.matMul(rows, weights[group]! as tf.Tensor2D, false, true)
      return splitHeads(tf.reshape(flat, [batch, length, each * width]), each)
    })
    const all = made.length === 1 ? made[0]! : tf.concat(made, 1) // [B, h, S, nope + dv]
    const [still, v] = tf.split(all, [this.#nope, this.valueWidth], 3) as [tf.Tensor4D, tf.Tensor4D]
    return { q, k: key ? tf.concat([still, forAllHeads(key, this.heads)], 3) : still, v }
  }

  #absorbed(q: tf.Tensor4D, tokens: Readonly<Record<string, tf.Tensor4D>>): View {
    const [toKeys, toValues] = this.#matrices()
    const [still, turning] = tf.split(q, [this.#nope, this.turnedWidth], 3) as [tf.Tensor4D, tf.Tensor4D]
    const taken = perHeadProduct(still, toKeys) // [B, h, L, rank]
    const query = this.turnedWidth > 0 ? tf.concat([taken, turning], 3) : taken
    const { tokens: joined, latent, key } = tokens
    // One latent and its key are one row already, which the kernel reads as key and as value.
    const rows = joined ?? (key ? tf.concat([latent!, forAllHeads(key, this.groups)], 3) : latent!)
    return {
      q: query,
      k: rows,
      v: rows,
      finish: (o) => perHeadProduct(tf.slice(o, [0, 0, 0, 0], [-1, -1, -1, this.#rank]), toValues, true),
    }
  }
}

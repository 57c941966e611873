import type * as tf from '@tensorflow/tfjs-core'
import type { Module } from '@x/core-gpu'
import type { CacheKind, Streams } from '../caches/cache.ts'

/** What the projections of one call know of it. */
export interface ProjectionContext {
  /** turns [B, heads, L, width] by the tokens' positions */
  turn(x: tf.Tensor4D): tf.Tensor4D
  /** whether values turn too */
  readonly turnsValues: boolean
  /** values of the first layer, to be mixed in, [B, g, L, dv] */
  readonly firstValues?: tf.Tensor4D | undefined
}

/** Sizes by which a way of computing is chosen. */
export interface ViewSizes {
  /** L */
  readonly queries: number
  /** how many tokens are stored, at most; buffers of a cache are longer */
  readonly keys: number
}

/** What the kernel is given. */
export interface View {
  readonly q: tf.Tensor4D
  readonly k: tf.Tensor4D
  readonly v: tf.Tensor4D
  /** what is left to do with [B, h, L, width of v] to get [B, h, L, dv] */
  readonly finish?: (o: tf.Tensor4D) => tf.Tensor4D
}

/** How tokens become queries, and what of them is remembered for later queries: one half of an attention. */
export interface Projection extends Module {
  /** D */
  readonly dim: number
  readonly heads: number
  /** d of the scale d^-1/2 */
  readonly keyWidth: number
  readonly valueWidth: number
  /** width of what turns */
  readonly turnedWidth: number
  /** whether values can turn */
  readonly canTurnValues: boolean
  /** whether values of the first layer are mixed in */
  readonly takesFirstValues: boolean
  /** what is remembered of one token */
  readonly streams: Streams
  /** the kind of cache where no other is asked for; default `contiguous()` */
  readonly cacheKind?: CacheKind | undefined
  /** whether `view` takes what a cache stores in half precision as it is; default false */
  readonly readsHalves?: boolean
  /** @returns q [B, h, L, d], turned */
  queries(x: tf.Tensor3D, context: ProjectionContext): tf.Tensor4D
  /** @returns [B, heads, L, width] of each stream, turned */
  tokens(x: tf.Tensor3D, context: ProjectionContext): Record<string, tf.Tensor4D>
  /** Keys and values of what was remembered: the tensors of `tokens`, or the buffers of a cache. */
  view(q: tf.Tensor4D, tokens: Readonly<Record<string, tf.Tensor4D>>, sizes: ViewSizes): View
}

import type * as tf from '@tensorflow/tfjs-core'

/**
 * Where tokens stand: `[L]` for all sequences of a batch, or `[B][L]`.
 *
 * Numbers and no tensor: angles are computed from them in float64, and float32 knows no position beyond 2^24.
 */
export type Positions = readonly number[] | readonly (readonly number[])[]

/** How scores come to depend on where tokens stand. */
export interface PositionEncoding {
  /** what it is called, such as `rope` */
  readonly encoding: string
  /**
   * Turns queries, keys or values [B, h, L, d] by their positions.
   *
   * Absent where nothing turns.
   */
  rotate?(x: tf.Tensor4D, positions: Positions, options?: { readonly inverse?: boolean }): tf.Tensor4D
  /** @throws RangeError naming the option, when vectors of this width cannot be turned */
  fit?(width: number): void
  /** whether values turn too, and outputs turn back */
  readonly turnsValues?: boolean
  /** factor of all scores */
  readonly scoreScale?: number
  /**
   * What is added to the scores.
   * @param distance key minus query, counted in tokens, [B or 1, 1, rows, S]
   * @returns broadcastable to [B, h, rows, S]
   */
  bias?(heads: number, distance: tf.Tensor4D): tf.Tensor4D
}

/** Whether a value is a position encoding. */
export function isPositionEncoding(value: unknown): value is PositionEncoding {
  return typeof value === 'object' && value !== null && 'encoding' in value && typeof value.encoding === 'string'
}

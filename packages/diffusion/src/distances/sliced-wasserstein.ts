import * as tf from '@tensorflow/tfjs-core'
import { type Key, requireInteger } from '@x/core-gpu'
import { asRows } from './samples.ts'

/** Numbers that are projected at once: 4 MiB of float32. */
const CELLS = 2 ** 20

export interface SlicedWassersteinOptions {
  /** the directions are drawn from it */
  readonly key: Key
  /** how many directions; default 128 */
  readonly projections?: number
  /** p of W_p, from 1; default 2 */
  readonly order?: number
}

/**
 * The sliced Wasserstein distance: the mean over random directions of the exact W_p between the projections,
 * `(E W_p^p)^(1/p)`. Sets of different sizes do.
 * @param a `[N, ...]`
 * @param b `[M, ...]`
 * @throws RangeError naming an option out of range, or the set that is empty, not finite or of another shape
 */
export async function slicedWasserstein(
  a: tf.Tensor,
  b: tf.Tensor,
  { key, projections = 128, order = 2 }: SlicedWassersteinOptions,
): Promise<number> {
  requireInteger('projections', projections, 1)
  if (!(order >= 1 && order < Infinity)) throw new RangeError(`order: expected a number >= 1, got ${String(order)}`)
  const [x, y] = asRows(a, b)
  const directions = directionsFor(projections, x.shape[1], key)
  try {
    const [n, m] = [x.shape[0], y.shape[0]]
    const tile = Math.max(1, Math.floor(CELLS / Math.max(n, m)))
    let total = 0
    for (let from = 0; from < projections; from += tile) {
      const size = Math.min(tile, projections - from)
      const [left, right] = await Promise.all([x, y].map((z) => projected(z, directions, from, size)))
      for (let i = 0; i < size; i++) {
        const rowOf = (all: Float32Array, count: number): Float32Array =>
          all.subarray(i * count, (i + 1) * count).sort()
        total += transportCost(rowOf(left!, n), rowOf(right!, m), order)
      }
    }
    return (total / projections) ** (1 / order)
  } finally {
    tf.dispose([x, y, directions])
  }
}

async function projected(x: tf.Tensor2D, directions: tf.Tensor2D, from: number, size: number): Promise<Float32Array> {
  const along = tf.tidy(() => tf.matMul(tf.slice(directions, from, size), x, false, true)) // [size, N]
  const values = await along.data<'float32'>()
  along.dispose()
  return Float32Array.from(values)
}

/** Unit vectors, `[projections, d]`. */
function directionsFor(projections: number, d: number, key: Key): tf.Tensor2D {
  return tf.tidy(() => {
    const normal = key.normal<tf.Rank.R2>([projections, d])
    return tf.div(normal, tf.sqrt(tf.sum(tf.square(normal), 1, true)))
  })
}

/** W_p^p between sorted numbers: both quantile functions are walked together. */
function transportCost(a: Float32Array, b: Float32Array, order: number): number {
  const [n, m] = [a.length, b.length]
  let [i, j, at, cost] = [0, 0, 0, 0]
  while (i < n && j < m) {
    // Mass is counted in parts of 1 / (n m).
    const next = Math.min((i + 1) * m, (j + 1) * n)
    cost += (next - at) * Math.abs(a[i]! - b[j]!) ** order
    at = next
    if (at === (i + 1) * m) i++
    if (at === (j + 1) * n) j++
  }
  return cost / (n * m)
}

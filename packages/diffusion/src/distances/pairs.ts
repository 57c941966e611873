import * as tf from '@tensorflow/tfjs-core'

/** Numbers in a tile's differences: 4 MiB of float32. */
const CELLS = 2 ** 20

/**
 * The sum over all pairs of a function of the squared distance, tile by tile, added up in double precision.
 * @param a `[N, d]`
 * @param b `[M, d]`
 * @param f of squared distances, `[n, m]` to `[n, m]`
 */
export async function sumOverPairs(
  a: tf.Tensor2D,
  b: tf.Tensor2D,
  f: (squares: tf.Tensor2D) => tf.Tensor,
): Promise<number> {
  const [n, d] = a.shape
  const m = b.shape[0]
  const columns = Math.max(1, Math.min(m, Math.floor(CELLS / d)))
  const rows = Math.max(1, Math.floor(CELLS / (columns * d)))
  let total = 0
  for (let i = 0; i < n; i += rows)
    for (let j = 0; j < m; j += columns) {
      const sums = tf.tidy(() => {
        const left = tf.expandDims(tf.slice(a, i, Math.min(rows, n - i)), 1)
        const right = tf.expandDims(tf.slice(b, j, Math.min(columns, m - j)), 0)
        return tf.sum(f(tf.sum(tf.squaredDifference(left, right), 2) as tf.Tensor2D), 1)
      })
      for (const sum of await sums.data()) total += sum
      sums.dispose()
    }
  return total
}

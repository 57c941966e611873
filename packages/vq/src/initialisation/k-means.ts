import * as tf from '@tensorflow/tfjs-core'
import { type Key, nearestCode, requireInteger, requireShape, segmentSum } from '@x/core-gpu'
import { hideMasked } from '../indices.ts'
import { euclidean, type Metric } from '../metric.ts'
import { pickRows } from './pick-rows.ts'

/** Places codes where the first training batch is: rows `[N, d]` to `count` means and how many rows each stands for. */
export type DataStart = (
  rows: tf.Tensor2D,
  count: number,
  metric: Metric,
  key: Key | undefined,
  /** 1 where a row counts, else 0, `[N]`; null when all do */
  counts: tf.Tensor1D | null,
) => Clusters

export type Clusters = {
  /** `[K, d]` */
  readonly means: tf.Tensor2D
  /** vectors in each, as assigned in the last iteration, `[K]` */
  readonly counts: tf.Tensor1D
}

export interface KMeansOptions {
  /** default 10 */
  readonly iterations?: number
  /** default: euclidean; on the sphere means are normalised */
  readonly metric?: Metric
  /** where the means start, `[K, d]`; default: distinct random rows */
  readonly start?: tf.Tensor2D
  /** needed without `start` */
  readonly key?: Key | undefined
  /** 1 where a row counts, else 0, `[N]`; default: all do */
  readonly mask?: tf.Tensor1D | null
}

/**
 * Lloyd's k-means; a cluster that loses all its rows keeps its mean.
 * @param rows `[N, d]`
 * @param count K
 * @throws TypeError when neither `start` nor `key` is given
 */
export function kMeans(rows: tf.Tensor2D, count: number, options: KMeansOptions = {}): Clusters {
  const { iterations = 10, metric = euclidean, mask = null } = options
  requireInteger('count', count, 1)
  requireInteger('iterations', iterations, 1)
  if (options.start) requireShape('start', options.start, [count, rows.shape[1]])
  return tf.tidy(() => {
    const points = metric.project(rows) // [N, d]
    let means = options.start ? tf.clone(options.start) : randomRows(points, count, mask, options.key)
    let counts = tf.zeros([count]) as tf.Tensor1D
    for (let i = 0; i < iterations; i++) {
      const moved = tf.tidy(() => step(points, means, metric, mask))
      tf.dispose([means, counts])
      ;({ means, counts } = moved)
    }
    return { means, counts }
  })
}

/** A data start by k-means. */
export function kMeansStart(options: { readonly iterations?: number } = {}): DataStart {
  return (rows, count, metric, key, mask) => kMeans(rows, count, { ...options, metric, key, mask })
}

function step(points: tf.Tensor2D, means: tf.Tensor2D, metric: Metric, mask: tf.Tensor1D | null): Clusters {
  const count = means.shape[0]
  const { indices: nearest } = nearestCode(points, means)
  const indices = mask ? hideMasked(points, nearest, mask).indices : nearest // [N], -1 where a row does not count
  const counts = segmentSum(tf.ones([points.shape[0]]), indices as tf.Tensor1D, count) as tf.Tensor1D // [K]
  const sums = segmentSum(points, indices as tf.Tensor1D, count) // [K, d]
  const filled = tf.expandDims(tf.greater(counts, 0), 1) // [K, 1]
  const centres = tf.div(sums, tf.expandDims(tf.maximum(counts, 1), 1)) as tf.Tensor2D
  return { means: tf.where(filled, metric.project(centres), means), counts }
}

function randomRows(points: tf.Tensor2D, count: number, mask: tf.Tensor1D | null, key: Key | undefined): tf.Tensor2D {
  if (!key) throw new TypeError('key: k-means draws its first means, expected a key, got undefined')
  const n = points.shape[0]
  return pickRows(points, mask ?? tf.ones([n]), key.permutation(n), tf.range(0, count))
}

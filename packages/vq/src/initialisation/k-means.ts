import * as tf from '@tensorflow/tfjs-core'
import { type Key, nearestCode, requireInteger, requireShape, segmentSum } from '@x/core-gpu'
import { euclidean, type Metric } from '../metric.ts'

/** Places codes where the first training batch is: rows `[N, d]` to `count` means and how many rows each stands for. */
export type DataStart = (rows: tf.Tensor2D, count: number, metric: Metric, key: Key | undefined) => Clusters

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
  readonly key?: Key
}

/**
 * Lloyd's k-means; a cluster that loses all its rows keeps its mean.
 * @param rows `[N, d]`
 * @param count K
 * @throws TypeError when neither `start` nor `key` is given
 */
export function kMeans(rows: tf.Tensor2D, count: number, options: KMeansOptions = {}): Clusters {
  const { iterations = 10, metric = euclidean } = options
  requireInteger('count', count, 1)
  requireInteger('iterations', iterations, 1)
  if (options.start) requireShape('start', options.start, [count, rows.shape[1]])
  return tf.tidy(() => {
    const points = metric.project(rows) // [N, d]
    let means = options.start ? tf.clone(options.start) : randomRows(points, count, options.key)
    let counts = tf.zeros([count]) as tf.Tensor1D
    for (let i = 0; i < iterations; i++) {
      const moved = tf.tidy(() => step(points, means, metric))
      tf.dispose([means, counts])
      ;({ means, counts } = moved)
    }
    return { means, counts }
  })
}

/** A data start by k-means. */
export function kMeansStart(options: { readonly iterations?: number } = {}): DataStart {
  return (rows, count, metric, key) => kMeans(rows, count, { ...options, metric, key })
}

function step(points: tf.Tensor2D, means: tf.Tensor2D, metric: Metric): Clusters {
  const count = means.shape[0]
  const { indices } = nearestCode(points, means)
  const counts = segmentSum(tf.ones([points.shape[0]]), indices, count) as tf.Tensor1D // [K]
  const sums = segmentSum(points, indices, count) // [K, d]
  const filled = tf.expandDims(tf.greater(counts, 0), 1) // [K, 1]
  const centres = tf.div(sums, tf.expandDims(tf.maximum(counts, 1), 1)) as tf.Tensor2D
  return { means: tf.where(filled, metric.project(centres), means), counts }
}

function randomRows(points: tf.Tensor2D, count: number, key: Key | undefined): tf.Tensor2D {
  if (!key) throw new TypeError('key: k-means draws its first means, expected a key, got undefined')
  const order = key.permutation(points.shape[0])
  const picked = Int32Array.from({ length: count }, (_, i) => order[i % order.length]!)
  return tf.gather(points, tf.tensor1d(picked, 'int32'))
}

import * as tf from '@tensorflow/tfjs-core'
import { type Gradient, listOf } from './gradient.ts'

const unindexed =
  (indices: tf.Tensor): (() => tf.Tensor) =>
  () =>
    tf.zeros(indices.shape)

/** Gradients of reading and writing at computed places. tfjs has none for most. */
export const indexingGradients: Record<string, Gradient> = {
  [tf.GatherNd]: {
    inputsToSave: ['params', 'indices'],
    gradFunc: (dy, saved) => {
      const [params, indices] = saved as [tf.Tensor, tf.Tensor]
      return {
        params: () =>
          (dy as tf.Tensor).size === 0
            ? tf.zeros(params.shape)
            : tf.scatterND(indices, dy as tf.Tensor, params.shape as [number]),
        indices: unindexed(indices),
      }
    },
  },
  [tf.GatherV2]: {
    inputsToSave: ['x', 'indices'],
    gradFunc: (dy, saved, { axis, batchDims }) => {
      const [x, indices] = saved as [tf.Tensor, tf.Tensor]
      return {
        x: () => {
          const [from] = tf.util.parseAxisParam(axis as number, x.shape)
          return addBack(dy as tf.Tensor, x.shape, indices, from!, (batchDims as number | undefined) ?? 0)
        },
        indices: unindexed(indices),
      }
    },
  },
  [tf.ScatterNd]: {
    inputsToSave: ['indices', 'updates'],
    gradFunc: (dy, saved) => {
      const [indices, updates] = saved as [tf.Tensor, tf.Tensor]
      return {
        indices: unindexed(indices),
        updates: () => (updates.size === 0 ? tf.zeros(updates.shape) : tf.gatherND(dy as tf.Tensor, indices)),
      }
    },
  },
  [tf.SparseToDense]: {
    inputsToSave: ['sparseIndices', 'sparseValues', 'defaultValue'],
    gradFunc: (dy, saved) => {
      const [indices, values, fallback] = saved as [tf.Tensor, tf.Tensor, tf.Tensor]
      const written = (): tf.Tensor =>
        tf.gatherND(dy as tf.Tensor, indices.rank < 2 ? tf.reshape(indices, [-1, 1]) : indices)
      return {
        sparseIndices: unindexed(indices),
        sparseValues: () => (values.rank === 0 ? tf.sum(written()) : tf.reshape(written(), values.shape)),
        defaultValue: () => tf.reshape(tf.sub(tf.sum(dy as tf.Tensor), tf.sum(written())), fallback.shape),
      }
    },
  },
  [tf.TensorScatterUpdate]: {
    inputsToSave: ['indices', 'updates'],
    gradFunc: (dy, saved) => {
      const [indices, updates] = saved as [tf.Tensor, tf.Tensor]
      return {
        tensor: () =>
          updates.size === 0
            ? tf.clone(dy as tf.Tensor)
            : tf.tensorScatterUpdate(dy as tf.Tensor, indices, tf.zeros(updates.shape)),
        indices: unindexed(indices),
        updates: () => (updates.size === 0 ? tf.zeros(updates.shape) : tf.gatherND(dy as tf.Tensor, indices)),
      }
    },
  },
  [tf.TopK]: {
    inputsToSave: ['x'],
    outputsToSave: [false, true],
    gradFunc: (dy, saved) => {
      const [x, indices] = saved as [tf.Tensor, tf.Tensor]
      return {
        x: () => {
          const n = x.shape.at(-1)!
          const k = indices.shape.at(-1)!
          const rows = indices.size / k
          const first = tf.tensor2d(Int32Array.from({ length: rows }, (_, row) => row * n), [rows, 1], 'int32') // prettier-ignore
          const places = tf.add(tf.reshape(indices, [rows, k]), first)
          const values = tf.reshape(listOf(dy)[0]!, [rows * k])
          return tf.reshape(tf.unsortedSegmentSum(values, tf.reshape(places, [-1]), rows * n), x.shape)
        },
      }
    },
  },
  [tf.UnsortedSegmentSum]: emptySegments(),
}

/** tfjs's gradient, which loses the order of the axes where there is nothing to gather. */
function emptySegments(): Gradient {
  const stock = tf.getGradient(tf.UnsortedSegmentSum)!
  return {
    ...stock,
    gradFunc: (dy, saved, attributes) => {
      const { shape, size } = dy as tf.Tensor
      if (size > 0) return stock.gradFunc(dy, saved, attributes)
      return { x: () => tf.zeros([saved[0]!.size, ...shape.slice(1)]) }
    },
  }
}

/** Gradients of gathered slices, added up where they were taken from: one sum by segment for any axis and any batches. */
function addBack(dy: tf.Tensor, shape: number[], indices: tf.Tensor, axis: number, batchDims: number): tf.Tensor {
  if (dy.size === 0) return tf.zeros(shape)
  const middle = tf.util.sizeFromShape(shape.slice(batchDims, axis))
  const batch = tf.util.sizeFromShape(shape.slice(0, batchDims))
  const n = shape[axis]!
  const inner = tf.util.sizeFromShape(shape.slice(axis + 1))
  const ids = tf.reshape(tf.cast(indices, 'int32'), [batch, 1, indices.size / batch]) // [B, 1, I]
  const places =
    batch * middle === 1
      ? ids
      : tf.add(ids, tf.tensor3d(Int32Array.from({ length: batch * middle }, (_, i) => i * n), [batch, middle, 1])) // prettier-ignore
  const rows = tf.reshape(dy, [places.size, inner]) // [B*M*I, inner]
  const sums = tf.unsortedSegmentSum(rows, tf.reshape(tf.cast(places, 'int32'), [-1]), batch * middle * n)
  return tf.reshape(sums, shape)
}

import * as tf from '@tensorflow/tfjs-core'

/** A gradient as tfjs's registry has it. */
export type Gradient = Omit<tf.GradConfig, 'kernelName'>

/** Sums a gradient over the axes along which its input was broadcast. */
export function sumTo(gradient: tf.Tensor, shape: readonly number[]): tf.Tensor {
  if (tf.util.arraysEqual(gradient.shape, shape as number[])) return gradient
  if (gradient.size === 0) return tf.zeros(shape as number[])
  const lead = gradient.rank - shape.length
  const axes = gradient.shape.flatMap((size, axis) =>
    axis < lead || (shape[axis - lead] === 1 && size !== 1) ? [axis] : [],
  )
  return tf.reshape(axes.length === 0 ? gradient : tf.sum(gradient, axes), shape as number[])
}

/** Gradients of an operation's results: tfjs hands over a lone one bare. */
export function listOf(dy: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
  return Array.isArray(dy) ? dy : [dy]
}

/** A tensor as [what lies before an axis, the axis, what lies behind it]: no backend has trouble with three axes. */
export function aroundAxis(x: tf.Tensor, axis: number): tf.Tensor3D {
  return tf.reshape(x, [
    tf.util.sizeFromShape(x.shape.slice(0, axis)),
    x.shape[axis]!,
    tf.util.sizeFromShape(x.shape.slice(axis + 1)),
  ])
}

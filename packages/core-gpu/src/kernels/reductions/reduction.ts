import * as tf from '@tensorflow/tfjs-core'

/** A reduction of x seen as [outer, middle, inner] over its middle. */
export type Reduction = readonly [outer: number, middle: number, inner: number]

/** The axes of a reduction as TensorFlow.js's kernels are told them, from 0 on; all when none are named. */
export function axesOf(shape: number[], axis: unknown): number[] {
  return tf.util.parseAxisParam((axis ?? shape.map((_, i) => i)) as number[], shape)
}

/** The reduction over `axes`, null when those that are longer than 1 do not lie side by side. */
export function reductionOf(shape: readonly number[], axes: readonly number[]): Reduction | null {
  const reduced = axes.filter((axis) => shape[axis] !== 1)
  if (reduced.length === 0) return [tf.util.sizeFromShape([...shape]), 1, 1]
  const [first, last] = [Math.min(...reduced), Math.max(...reduced)]
  for (let axis = first; axis <= last; axis++) if (shape[axis] !== 1 && !reduced.includes(axis)) return null
  const size = (from: number, until: number): number => tf.util.sizeFromShape(shape.slice(from, until))
  return [size(0, first), size(first, last + 1), size(last + 1, shape.length)]
}

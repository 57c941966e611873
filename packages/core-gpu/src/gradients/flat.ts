import * as tf from '@tensorflow/tfjs-core'
import type { Gradient } from './gradient.ts'

/** Zero towards every input. */
function flat(...inputs: string[]): Gradient {
  return {
    inputsToSave: inputs,
    gradFunc: (_dy, saved) => Object.fromEntries(inputs.map((name, i) => [name, () => tf.zeros(saved[i]!.shape)])),
  }
}

/**
 * Gradients of what is constant in pieces: zero, so that a condition computed from trained values can be differentiated
 * through. tfjs has none for comparisons, and passes a gradient through FloorDiv and through casts to whole numbers.
 */
export const flatGradients: Record<string, Gradient> = {
  [tf.All]: flat('x'),
  [tf.Any]: flat('x'),
  [tf.Cast]: {
    gradFunc: (dy, _saved, attributes) => ({
      x: () =>
        attributes['dtype'] === 'int32' || attributes['dtype'] === 'bool'
          ? tf.zeros((dy as tf.Tensor).shape)
          : tf.clone(dy as tf.Tensor),
    }),
  },
  [tf.Equal]: flat('a', 'b'),
  [tf.FloorDiv]: flat('a', 'b'),
  [tf.Greater]: flat('a', 'b'),
  [tf.GreaterEqual]: flat('a', 'b'),
  [tf.Less]: flat('a', 'b'),
  [tf.LessEqual]: flat('a', 'b'),
  [tf.LogicalAnd]: flat('a', 'b'),
  [tf.LogicalNot]: flat('x'),
  [tf.LogicalOr]: flat('a', 'b'),
  [tf.LowerBound]: flat('sortedSequence', 'values'),
  [tf.NotEqual]: flat('a', 'b'),
  [tf.UpperBound]: flat('sortedSequence', 'values'),
}

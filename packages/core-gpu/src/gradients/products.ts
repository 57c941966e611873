import * as tf from '@tensorflow/tfjs-core'
import type { Gradient } from './gradient.ts'

/** Gradients of products over several axes, which tfjs lacks. */
export const productGradients: Record<string, Gradient> = {
  [tf.Conv3DBackpropInputV2]: {
    inputsToSave: ['dy', 'filter'],
    gradFunc: (dy, saved, { strides, pad }) => {
      const [y, filter] = saved as [tf.Tensor5D, tf.Tensor5D]
      return {
        dy: () => tf.conv3d(dy as tf.Tensor5D, filter, strides as [number, number, number], pad as 'same'),
        filter: () =>
          tf.engine().runKernel(
            tf.Conv3DBackpropFilterV2,
            { x: dy as tf.Tensor, dy: y },
            {
              strides: strides!,
              pad: pad!,
              filterShape: filter.shape,
            },
          ),
      }
    },
  },
  // Towards one factor: the gradient times the other factor, over what that one and the result have in common.
  [tf.Einsum]: {
    saveAllInputs: true,
    gradFunc: (dy, saved, { equation }) => {
      const [left, output] = (equation as string).replaceAll(' ', '').split('->') as [string, string]
      const terms = left.split(',')
      return Object.fromEntries(
        terms.map((term, i) => [
          String(i),
          () => {
            const others = terms.flatMap((_, j) => (j === i ? [] : [j]))
            const known = output + others.map((j) => terms[j]).join('')
            const kept = [...term].filter((label) => known.includes(label)).join('')
            const factors = [dy as tf.Tensor, ...others.map((j) => saved[j]!)]
            const gradient = tf.einsum(`${[output, ...others.map((j) => terms[j])].join()}->${kept}`, ...factors)
            if (kept === term) return gradient
            // Summed over before anything else: the same for every element.
            const shape = saved[i]!.shape
            const spread = tf.reshape(gradient, [...term].map((label, axis) => (kept.includes(label) ? shape[axis]! : 1))) // prettier-ignore
            return tf.mul(spread, tf.ones(shape))
          },
        ]),
      )
    },
  },
}

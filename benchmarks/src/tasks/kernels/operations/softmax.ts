import * as tf from '@tensorflow/tfjs-core'
import { differentiate, type Operation } from '../operations.ts'

/** Softmax along the rows. */
export const softmax: Operation = (form, { rows = 1, columns = 1 }, draw) => {
  const x = draw(rows, columns)
  if (form === 'forward') return () => tf.softmax(x)
  return differentiate(([input]) => tf.softmax(input!), [x], x.shape, draw)
}

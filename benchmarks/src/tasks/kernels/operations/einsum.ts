import * as tf from '@tensorflow/tfjs-core'
import type { Operation } from '../operations.ts'

/** Two contractions of attention. */
export const einsum: Operation = (form, { batch = 1, heads = 1, length = 1, dim = 1, width = 1 }, draw) => {
  if (form === 'scores') {
    const [q, k] = [draw(batch, heads, length, dim), draw(batch, heads, length, dim)]
    return () => tf.einsum('bhid,bhjd->bhij', q, k)
  }
  const [x, w] = [draw(batch, length, width), draw(heads, width, dim)]
  return () => tf.einsum('bnd,hde->bhne', x, w)
}

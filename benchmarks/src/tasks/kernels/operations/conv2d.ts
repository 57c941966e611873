import * as tf from '@tensorflow/tfjs-core'
import { differentiate, type Operation } from '../operations.ts'

/** Convolution of square images, NHWC. */
export const conv2d: Operation = (form, size, draw) => {
  const { batch = 1, inChannels = 1, outChannels = 1, kernel = 1, stride = 1 } = size
  const x = draw(batch, size.size ?? 1, size.size ?? 1, inChannels)
  const filter = draw(kernel, kernel, inChannels, outChannels)
  const forward = ([images, w]: readonly tf.Tensor[]): tf.Tensor =>
    tf.conv2d(images as tf.Tensor4D, w as tf.Tensor4D, stride, 'same')
  if (form === 'forward') return () => forward([x, filter])
  const side = Math.ceil((size.size ?? 1) / stride)
  return differentiate(forward, [x, filter], [batch, side, side, outChannels], draw)
}

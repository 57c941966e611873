import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireTensor } from '../../validation/validation.ts'
import { hasKernel } from '../registry.ts'
import { packHalfReference, unpackHalfReference } from './reference.ts'

/**
 * Stores numbers at half precision (IEEE 754 binary16), two in each element: half the memory, 11 significant bits.
 *
 * For what is read often and written once, such as the keys and values that `attendCached` reads. Numbers beyond 65,504
 * are stored as that. No gradient flows through it.
 * @param x float32 [..., d], d even
 * @returns int32 [..., d / 2]; the first of two numbers is in the lower bits
 * @throws TypeError when `x` is no float32 tensor
 * @throws RangeError when its last dimension is not even
 */
export function packHalf(x: tf.Tensor): tf.Tensor {
  requireTensor('x', x)
  if (x.dtype !== 'float32') throw new TypeError(`x: expected float32, got ${x.dtype}`)
  if (x.rank === 0 || x.shape.at(-1)! % 2 !== 0)
    throw new RangeError(`x: expected an even last dimension, got ${describeShape(x.shape)}`)
  if (x.size === 0) return tf.zeros([...x.shape.slice(0, -1), x.shape.at(-1)! / 2], 'int32')
  return hasKernel('XPackHalf') ? tf.engine().runKernel('XPackHalf', { x }) : packHalfReference(x)
}

/**
 * The numbers that `packHalf` stored.
 * @param packed int32 [..., d / 2]
 * @returns float32 [..., d]
 * @throws TypeError when `packed` is no int32 tensor
 * @throws RangeError when it is a scalar
 */
export function unpackHalf(packed: tf.Tensor): tf.Tensor {
  requireTensor('packed', packed)
  if (packed.dtype !== 'int32') throw new TypeError(`packed: expected int32, got ${packed.dtype}`)
  if (packed.rank === 0) throw new RangeError('packed: expected at least one dimension, got a scalar')
  if (packed.size === 0) return tf.zeros([...packed.shape.slice(0, -1), packed.shape.at(-1)! * 2])
  return hasKernel('XUnpackHalf') ? tf.engine().runKernel('XUnpackHalf', { packed }) : unpackHalfReference(packed)
}

import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { describeShape, requireInteger, requireShape } from '../../validation/validation.ts'
import { unpackHalf } from '../half/half.ts'
import { hasKernel } from '../registry.ts'
import { runAttention } from './attend.ts'
import { attendAttributes, type Attended, type AttendInputs, attendInputs, type AttendOptions } from './contract.ts'
import { attendReference } from './reference.ts'

/**
 * Attention of the newest tokens over a cache that is not full yet; no gradient flows through it.
 *
 * The L queries stand at the last L of the cached keys, and unless `causal` is false none sees a later one.
 * @param q queries of the newest tokens, float32 [B, h, L, d]
 * @param k cached keys, the newest included, float32 [B, g, capacity, d], or as `packHalf` makes them of that
 * @param v cached values, float32 [B, g, capacity, dv], or as `packHalf` makes them of that
 * @param lengths how many keys the cache holds: int32 [B], of which what is below 0 counts as 0 and what is above the
 *   capacity as the capacity; or one number for all
 * @param options as of `attend`, with S = capacity; `causal` is true by default
 * @returns output [B, h, L, dv] and logSumExp [B, h, L]
 * @throws TypeError when something is no tensor
 * @throws RangeError when shapes, element types, a length given as a number, or options do not fit
 */
export function attendCached(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  lengths: tf.Tensor1D | number,
  options: AttendOptions = {},
): Attended {
  const { bias, mask, ...inputs } = attendInputs(q, k, v, options, { half: true })
  const attributes = attendAttributes(q.shape[3], { causal: true, ...options })
  const { k: _k, v: _v, ...others } = inputs
  const known = { ...others, ...(bias && { bias }), ...(mask && { mask }), lengths: asLengths(lengths, q, k) }
  // Only some kernels read half precision as it is.
  const unpacks = !hasKernel('XAttendCachedHalf') || q.size * k.size * v.size === 0
  const usable = (x: tf.Tensor): tf.Tensor => (unpacks && x.dtype === 'int32' ? unpackHalf(x) : stopGradient(x))
  const constants = {
    ...Object.fromEntries(Object.entries(known).map(([name, x]) => [name, stopGradient(x)])),
    k: usable(k),
    v: usable(v),
  } as AttendInputs
  const isHalf = constants.k.dtype === 'int32' || constants.v.dtype === 'int32'
  const kernelName = isHalf ? 'XAttendCachedHalf' : 'XAttendCached'
  const [output, logSumExp] = runAttention(kernelName, constants, attributes, attendReference)
  tf.dispose([{ ...constants }, known.lengths, bias ?? [], mask ?? []])
  return { output, logSumExp }
}

function asLengths(lengths: tf.Tensor1D | number, q: tf.Tensor4D, k: tf.Tensor4D): tf.Tensor1D {
  const [batch, capacity] = [q.shape[0], k.shape[2]]
  if (typeof lengths === 'number') {
    requireInteger('lengths', lengths, 0)
    if (lengths > capacity)
      throw new RangeError(`lengths: expected at most the capacity of k ${describeShape(k.shape)}, got ${lengths}`)
    return tf.fill([batch], lengths, 'int32')
  }
  requireShape('lengths', lengths, [batch])
  if (lengths.dtype !== 'int32') throw new RangeError(`lengths: expected int32, got ${lengths.dtype}`)
  return tf.clone(lengths)
}

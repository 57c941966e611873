import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import { elementsOf } from '../../caches/elements.ts'
import type { Storage } from '../storage.ts'
import type { ByteFormat } from './byte-format.ts'
import { packBytesWebgpu, unpackBytesWebgpu } from './webgpu.ts'

export interface BytesOptions {
  /** how many numbers of a row share a scale; divides the row's width; default: all */
  readonly group?: number
}

/**
 * Numbers in a byte each, over a scale for each group of them: the greatest is the greatest that the format holds.
 *
 * A group of zeros has scale 0. Bytes lie four in an element, the first in the lowest bits.
 * @throws RangeError naming the option that is out of range
 */
export function scaledBytes(format: ByteFormat, { group }: BytesOptions): Storage {
  if (group !== undefined) requireInteger('group', group, 1)
  return {
    storage: format.name,
    parts: (width) => {
      const each = group ?? width
      if (width % each !== 0)
        throw new RangeError(`group: expected a divisor of the width ${width} of what is stored, got ${each}`)
      return {
        codes: { width: Math.ceil(width / 4), dtype: 'int32' },
        scales: { width: width / each, dtype: 'float32' },
      }
    },
    encode: (x) =>
      tf.tidy(() => {
        const [batch, heads, length, width] = x.shape
        const groups = width / (group ?? width)
        const grouped = tf.reshape(x, [-1, groups, group ?? width])
        const scales = tf.reshape(tf.div(tf.max(tf.abs(grouped), 2), format.largest), [batch, heads, length, groups])
        return { codes: packBytes(format, x, scales as tf.Tensor4D), scales: scales as tf.Tensor4D }
      }),
    decode: ({ codes, scales }, width) => unpackBytes(format, codes!, scales!, width),
  }
}

function packBytes(format: ByteFormat, x: tf.Tensor4D, scales: tf.Tensor4D): tf.Tensor4D {
  const [batch, heads, length, width] = x.shape
  const shape: [number, number, number, number] = [batch, heads, length, Math.ceil(width / 4)]
  if (x.size === 0) return tf.zeros(shape, 'int32')
  if (tf.getBackend() === 'webgpu') return packBytesWebgpu(format, x, scales, shape)
  const [values, factors] = [elementsOf(x), elementsOf(scales)]
  const words = new Int32Array(tf.util.sizeFromShape(shape))
  const bytes = new Uint8Array(words.buffer)
  const [stride, group] = [4 * shape[3], width / scales.shape[3]]
  for (let row = 0, at = 0; at < values.length; row++)
    for (let column = 0; column < width; column++, at++) {
      const scale = factors[Math.floor(at / group)]!
      bytes[row * stride + column] = format.toByte(scale === 0 ? 0 : values[at]! / scale)
    }
  return tf.tensor4d(words, shape, 'int32')
}

function unpackBytes(format: ByteFormat, codes: tf.Tensor4D, scales: tf.Tensor4D, width: number): tf.Tensor4D {
  const shape: [number, number, number, number] = [codes.shape[0], codes.shape[1], codes.shape[2], width]
  if (codes.size === 0) return tf.zeros(shape)
  if (tf.getBackend() === 'webgpu') return unpackBytesWebgpu(format, codes, scales, shape)
  const [words, factors] = [elementsOf(codes), elementsOf(scales)]
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
  const values = new Float32Array(tf.util.sizeFromShape(shape))
  const [stride, groups] = [4 * codes.shape[3], scales.shape[3]]
  const group = width / groups
  for (let row = 0, at = 0; at < values.length; row++)
    for (let part = 0; part < groups; part++) {
      const scale = factors[row * groups + part]!
      const from = row * stride + part * group
      for (let i = 0; i < group; i++) values[at++] = format.values[bytes[from + i]!]! * scale
    }
  return tf.tensor4d(values, shape)
}

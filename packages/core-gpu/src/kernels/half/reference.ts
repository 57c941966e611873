import * as tf from '@tensorflow/tfjs-core'

const largest = 65_504

/** Packing in JavaScript, on a backend that can be read without waiting. */
export function packHalfReference(x: tf.Tensor): tf.Tensor {
  const values = x.dataSync<'float32'>()
  const packed = Int32Array.from(
    { length: values.length / 2 },
    (_, i) =>
    halfBits(values[2 * i]!) | (halfBits(values[2 * i + 1]!) << 16), // prettier-ignore
  )
  return tf.tensor(packed, [...x.shape.slice(0, -1), x.shape.at(-1)! / 2], 'int32')
}

/** Unpacking in JavaScript, on a backend that can be read without waiting. */
export function unpackHalfReference(packed: tf.Tensor): tf.Tensor {
  const bits = packed.dataSync<'int32'>()
  const values = Float32Array.from({ length: bits.length * 2 }, (_, i) =>
    fromHalfBits(bits[i >> 1]! >>> (16 * (i & 1))),
  )
  return tf.tensor(values, [...packed.shape.slice(0, -1), packed.shape.at(-1)! * 2])
}

/** The nearest binary16, ties to the even one. */
function halfBits(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0
  if (Number.isNaN(x)) return 0x7e00
  const size = Math.min(Math.abs(x), largest)
  const smallestNormal = 2 ** -14
  if (size < smallestNormal) return sign | roundEven(size * 2 ** 24)
  const exponent = Math.floor(Math.log2(size))
  // A mantissa that is rounded up to 2 carries into the exponent.
  return sign | (((exponent + 15) << 10) + roundEven(size * 2 ** (10 - exponent)) - 1024)
}

function roundEven(x: number): number {
  const below = Math.floor(x)
  const rest = x - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}

function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 31
  const mantissa = bits & 1023
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15))
}

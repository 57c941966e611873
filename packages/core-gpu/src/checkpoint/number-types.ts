import type * as tf from '@tensorflow/tfjs-core'

/** The number types of safetensors that can be read and written here. */
export type SafetensorsType = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U16' | 'U8' | 'BOOL'

type Values = Float32Array | Int32Array | Uint8Array

/** How one number type lies in the file, and which tensors it stands for. */
interface NumberType {
  readonly bytes: number
  /** what it is read as */
  readonly dtype: 'float32' | 'int32' | 'bool'
  /** the tensors that may be written as it */
  readonly from: readonly tf.DataType[]
  /** @param bytes starts at offset 0 of its own buffer */
  decode(bytes: Uint8Array<ArrayBuffer>): Values
  encode(values: Values): Uint8Array<ArrayBuffer>
}

export const numberTypes: Record<SafetensorsType, NumberType> = {
  F64: {
    bytes: 8,
    dtype: 'float32',
    from: ['float32'],
    decode: (bytes) => Float32Array.from(new Float64Array(bytes.buffer)),
    encode: (values) => bytesOf(Float64Array.from(values)),
  },
  F32: {
    bytes: 4,
    dtype: 'float32',
    from: ['float32'],
    decode: (bytes) => new Float32Array(bytes.buffer),
    encode: (values) => bytesOf(Float32Array.from(values)),
  },
  F16: {
    bytes: 2,
    dtype: 'float32',
    from: ['float32'],
    decode: (bytes) => Float32Array.from(new Uint16Array(bytes.buffer), halfToNumber),
    encode: (values) => bytesOf(Uint16Array.from(values, numberToHalf)),
  },
  BF16: {
    bytes: 2,
    dtype: 'float32',
    from: ['float32'],
    decode: (bytes) => new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16).buffer),
    encode: (values) => bytesOf(toBrainFloats(values)),
  },
  I64: {
    bytes: 8,
    dtype: 'int32',
    from: ['int32'],
    decode: (bytes) => Int32Array.from(new BigInt64Array(bytes.buffer), (value) => within(Number(value), INT32)),
    encode: (values) => bytesOf(BigInt64Array.from(values as Int32Array, BigInt)),
  },
  I32: {
    bytes: 4,
    dtype: 'int32',
    from: ['int32'],
    decode: (bytes) => new Int32Array(bytes.buffer),
    encode: (values) => bytesOf(Int32Array.from(values)),
  },
  I16: {
    bytes: 2,
    dtype: 'int32',
    from: ['int32'],
    decode: (bytes) => Int32Array.from(new Int16Array(bytes.buffer)),
    encode: (values) => bytesOf(Int16Array.from(values, (value) => within(value, [-(2 ** 15), 2 ** 15 - 1]))),
  },
  I8: {
    bytes: 1,
    dtype: 'int32',
    from: ['int32'],
    decode: (bytes) => Int32Array.from(new Int8Array(bytes.buffer)),
    encode: (values) => bytesOf(Int8Array.from(values, (value) => within(value, [-(2 ** 7), 2 ** 7 - 1]))),
  },
  U16: {
    bytes: 2,
    dtype: 'int32',
    from: ['int32'],
    decode: (bytes) => Int32Array.from(new Uint16Array(bytes.buffer)),
    encode: (values) => bytesOf(Uint16Array.from(values, (value) => within(value, [0, 2 ** 16 - 1]))),
  },
  U8: {
    bytes: 1,
    dtype: 'int32',
    from: ['int32', 'bool'],
    decode: (bytes) => Int32Array.from(bytes),
    encode: (values) => Uint8Array.from(values, (value) => within(value, [0, 2 ** 8 - 1])),
  },
  BOOL: {
    bytes: 1,
    dtype: 'bool',
    from: ['bool'],
    decode: (bytes) => bytes.map((value) => within(value, [0, 1])),
    encode: (values) => Uint8Array.from(values),
  },
}

const INT32 = [-(2 ** 31), 2 ** 31 - 1] as const

function within(value: number, [least, most]: readonly [number, number]): number {
  if (value < least || value > most) throw new RangeError(`the value ${value} is not from ${least} to ${most}`)
  return value
}

function bytesOf(values: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** Drops the lower half of each float32, rounding to nearest, ties to even. */
function toBrainFloats(values: Values): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(Float32Array.from(values).buffer)
  return Uint16Array.from(words, (word) => {
    const isNan = (word & 0x7fffffff) > 0x7f800000
    // Rounding could carry a NaN's payload away and leave an infinity.
    return isNan ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  })
}

/** IEEE 754 binary16 to a number. */
function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 31
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity
  return sign * (1 + fraction * 2 ** -10) * 2 ** (exponent - 15)
}

/** A number to IEEE 754 binary16, rounded to nearest, ties to even. */
function numberToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const size = Math.abs(value)
  if (Number.isNaN(size)) return 0x7e00
  if (size >= 65520) return sign | 0x7c00
  // Below 2^-14 all steps are 2^-24 wide; above, there are 2^10 of them to each power of two.
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size))
  const steps = roundToEven(size * 2 ** (10 - exponent))
  // A carry into the next power of two is right as it stands: the fields are adjacent.
  return sign | (exponent === -14 ? steps : ((exponent + 14) << 10) + steps)
}

function roundToEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1
  return below % 2 === 0 ? below : below + 1
}

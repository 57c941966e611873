/** A number in 8 bits. */
export interface ByteFormat {
  readonly name: string
  /** the greatest number that it holds */
  readonly largest: number
  /** the bits of the nearest number, ties to the even one; beyond `largest` those of `largest` */
  toByte(x: number): number
  /** the number of each byte */
  readonly values: Float32Array
  /** WGSL: `fn toByte(x: f32) -> u32` and `fn fromByte(byte: u32) -> f32` */
  readonly wgsl: string
}

/** Whole numbers from -127 to 127, in two's complement. */
export const wholeNumbers: ByteFormat = {
  name: 'int8',
  largest: 127,
  toByte: (x) => roundEven(Math.min(127, Math.max(-127, x))) & 255,
  values: Float32Array.from({ length: 256 }, (_, byte) => (byte << 24) >> 24),
  wgsl: `
    fn toByte(x: f32) -> u32 { return bitcast<u32>(i32(round(clamp(x, -127.0, 127.0)))) & 255u; }
    fn fromByte(byte: u32) -> f32 { return f32(bitcast<i32>(byte << 24u) >> 24u); }`,
}

// Exponent bias 7, three bits of mantissa, no infinity: numbers below 2^-6 are multiples of 2^-9.
const smallestNormal = 2 ** -6

/** OCP float8 E4M3: a sign, 4 bits of exponent, 3 of mantissa; up to 448. arXiv 2209.05433 */
export const e4m3: ByteFormat = {
  name: 'fp8',
  largest: 448,
  toByte: (x) => {
    const sign = x < 0 || Object.is(x, -0) ? 0x80 : 0
    if (Number.isNaN(x)) return 0x7f
    const size = Math.min(Math.abs(x), 448)
    if (size < smallestNormal) return sign | roundEven(size * 2 ** 9)
    const exponent = Math.floor(Math.log2(size))
    // A mantissa that is rounded up to 2 carries into the exponent.
    return sign | (((exponent + 7) << 3) + roundEven(size * 2 ** (3 - exponent)) - 8)
  },
  values: Float32Array.from({ length: 256 }, (_, byte) => {
    const [sign, exponent, mantissa] = [byte & 0x80 ? -1 : 1, (byte >> 3) & 15, byte & 7]
    if ((byte & 0x7f) === 0x7f) return NaN
    return sign * (exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7))
  }),
  wgsl: `
    fn toByte(x: f32) -> u32 {
      let sign = (bitcast<u32>(x) >> 24u) & 128u;
      let size = min(abs(x), 448.0);
      if (size < 0.015625) { return sign | u32(round(size * 512.0)); }
      let bits = bitcast<u32>(size);
      return sign | (((bits + 0x7ffffu + ((bits >> 20u) & 1u)) >> 20u) - 960u);
    }
    fn fromByte(byte: u32) -> f32 {
      let sign = f32(1 - 2 * i32(byte >> 7u));
      let exponent = (byte >> 3u) & 15u;
      if (exponent == 0u) { return sign * f32(byte & 7u) / 512.0; }
      return sign * bitcast<f32>(((byte & 127u) + 960u) << 20u);
    }`,
}

function roundEven(x: number): number {
  const below = Math.floor(x)
  const rest = x - below
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below
}

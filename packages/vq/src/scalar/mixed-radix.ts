import * as tf from '@tensorflow/tfjs-core'

/** Numbers whose i-th digit counts to `levels[i]`; exact in int32. */
export interface MixedRadix {
  /** product of the levels */
  readonly size: number
  /** weight of each digit */
  readonly basis: readonly number[]
  /** digits float32 or int32 `[..., D]` to numbers int32 `[...]` */
  encode(digits: tf.Tensor): tf.Tensor
  /** numbers int32 `[...]` to digits float32 `[..., D]` */
  decode(numbers: tf.Tensor): tf.Tensor
}

/**
 * @param first whether the first digit is the least significant (as in finite scalar quantization) or the most
 * significant one (as in lookup-free quantization)
 * @throws RangeError when the numbers would not fit into int32
 */
export function mixedRadix(levels: readonly number[], first: 'least' | 'most' = 'least'): MixedRadix {
  const size = levels.reduce((a, b) => a * b, 1)
  if (size > 2 ** 31 - 1) throw new RangeError(`levels: expected at most 2^31 - 1 codes, got ${size}`)
  const lower = (i: number): readonly number[] => (first === 'least' ? levels.slice(0, i) : levels.slice(i + 1))
  const basis = levels.map((_, i) => lower(i).reduce((a, b) => a * b, 1))
  const whole = (value: number): tf.Scalar => tf.scalar(value, 'int32')
  return {
    size,
    basis,
    encode: (digits) =>
      tf.tidy(() => {
        // Digit by digit in int32: a float32 sum would lose codes beyond 2^24.
        const columns = tf.unstack(tf.cast(digits, 'int32'), -1)
        return columns.map((column, i) => tf.mul(column, whole(basis[i]!))).reduce((a, b) => tf.add(a, b))
      }),
    decode: (numbers) =>
      tf.tidy(() => {
        const digits: tf.Tensor[] = []
        let rest = tf.cast(numbers, 'int32')
        for (const L of first === 'least' ? levels : levels.toReversed()) {
          const { quotient, remainder } = divide(rest, whole(L))
          digits.push(remainder)
          rest = quotient
        }
        return tf.cast(tf.stack(first === 'least' ? digits : digits.toReversed(), -1), 'float32')
      }),
  }
}

/** Exact also where a backend divides int32 in float32: what is left over by the first try is divided again. */
function divide(n: tf.Tensor, by: tf.Scalar): { quotient: tf.Tensor; remainder: tf.Tensor } {
  const rough = tf.floorDiv(n, by)
  const left = tf.sub(n, tf.mul(rough, by))
  const more = tf.floorDiv(left, by)
  return { quotient: tf.add(rough, more), remainder: tf.sub(left, tf.mul(more, by)) }
}

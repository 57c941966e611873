import * as tf from '@tensorflow/tfjs-core'
import { type DigitsAutoencoder, tokens } from '../digits/autoencoder.ts'
import { allRows, digitsAt } from '../digits/batches.ts'
import { type Digits, pixels } from '../digits/data.ts'

/** The codes that digits become, [count x 8]. */
export async function encodeDigits(model: DigitsAutoencoder, digits: Digits): Promise<Int32Array> {
  const codes = new Int32Array(digits.count * tokens)
  for (const rows of allRows(digits.count)) {
    const indices = tf.tidy(() => model.quantizer.quantize(model.encode(digitsAt(digits, rows))).indices) // [B, 8]
    codes.set(await indices.data(), rows[0]! * tokens)
    indices.dispose()
  }
  return codes
}

/**
 * The digits that codes stand for.
 * @param codes [n x 8]
 * @returns [n x 784], 0 to 1
 */
export async function decodeCodes(model: DigitsAutoencoder, codes: Int32Array): Promise<Float32Array> {
  const count = codes.length / tokens
  const digits = new Float32Array(count * pixels)
  for (const rows of allRows(count)) {
    const first = rows[0]!
    const own = codes.subarray(first * tokens, (first + rows.length) * tokens)
    const made = tf.tidy(() => model.decode(model.quantizer.decode(tf.tensor2d(own, [rows.length, tokens], 'int32'))))
    digits.set(await made.data(), first * pixels)
    made.dispose()
  }
  return digits
}

import * as tf from '@tensorflow/tfjs-core'
import { QuantizationMeter } from '@x/vq'
import type { DigitsAutoencoder } from './autoencoder.ts'
import { allRows, digitsAt } from './batches.ts'
import { type Digits, pixels } from './data.ts'

/** What an autoencoder does with digits that it was not trained on. */
export interface Evaluation {
  readonly reconstruction: number
  readonly usage: number
  readonly perplexity: number
  readonly quantizationError: number
  readonly relativeError: number
  readonly vectors: number
}

/** Looks at all held-out digits; usage is counted over all of their codes, from zero. */
export async function evaluate(model: DigitsAutoencoder, digits: Digits): Promise<Evaluation> {
  const meter = new QuantizationMeter(model.quantizer)
  let squares = 0
  for (const rows of allRows(digits.count)) {
    const made = tf.tidy(() => {
      const x = digitsAt(digits, rows)
      const z = model.encode(x) // [B, 8, d]
      const { quantized, indices } = model.quantizer.quantize(z)
      const error = tf.sum(tf.squaredDifference(model.decode(quantized), x))
      return { z, quantized, indices, error }
    })
    await meter.add(made.z, made.quantized, made.indices)
    squares += (await made.error.data())[0]!
    tf.dispose(made)
  }
  const { usage, perplexity, quantizationError, relativeError, vectors } = meter.statistics()
  const reconstruction = squares / (digits.count * pixels)
  return { reconstruction, usage, perplexity, quantizationError, relativeError, vectors }
}

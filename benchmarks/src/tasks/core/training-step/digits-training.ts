import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, meanSquaredError, valueAndGradients } from '@x/core-gpu'
import type { RunSpec } from '../../../result.ts'
import { DigitsAutoencoder } from '../../vq/digits/autoencoder.ts'
import { loadDigits, pixels, pixelsOf } from '../../vq/digits/data.ts'
import { makeQuantizer } from '../../vq/digits/quantizers.ts'

/**
 * Makes a digits autoencoder and a batch.
 * @returns a training step on that batch, which waits for its loss
 */
export function digitsTraining(method: string, params: RunSpec['params'], seed: Key): () => Promise<void> {
  const [modelKey, quantizerKey, dataKey] = seed.split(3) as [Key, Key, Key]
  const model = new DigitsAutoencoder(makeQuantizer(method, params, quantizerKey), modelKey)
  const optimizer = new AdamW({ learningRate: 1e-3, weightDecay: 0 })
  const { train } = loadDigits()
  const rows = dataKey.permutation(train.count).subarray(0, Number(params.batchSize))
  const x = tf.tensor2d(pixelsOf(train, rows), [rows.length, pixels])
  return async () => {
    const parameters = model.parameters()
    const { loss, gradients } = valueAndGradients(parameters, () => {
      const { digits, quantization } = model.forward(x, { training: true, key: dataKey })
      return { loss: tf.add(meanSquaredError(digits, x), quantization.loss) as tf.Scalar }
    })
    optimizer.step(parameters, gradients)
    await loss.data()
    tf.dispose([loss, gradients])
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, key, valueAndGradients } from '@x/core-gpu'
import { answerRounds } from '../../../interleave.ts'
import { openBackend } from '../../../open-backend.ts'
import type { RunSpec } from '../../../result.ts'
import { DigitsAutoencoder } from '../../vq/digits/autoencoder.ts'
import { loadDigits, pixels, pixelsOf } from '../../vq/digits/data.ts'
import { makeQuantizer } from '../../vq/digits/quantizers.ts'

/** Steps in a round: enough that a clock tick or a collection of garbage does not show. */
const stepsPerRound = 5
const warmUpSteps = 10

const { run, kernels } = JSON.parse(process.argv[2] ?? '{}') as { run: RunSpec; kernels: 'own' | 'stock' }
const device = await openBackend(run.backend, { kernels })
const [modelKey, quantizerKey, dataKey] = key(run.seed).split(3) as [Key, Key, Key]
const model = new DigitsAutoencoder(makeQuantizer(run.method, run.params, quantizerKey), modelKey)
const optimizer = new AdamW({ learningRate: 1e-3, weightDecay: 0 })
const { train } = loadDigits()
const rows = dataKey.permutation(train.count).subarray(0, Number(run.params.batchSize))
const x = tf.tensor2d(pixelsOf(train, rows), [rows.length, pixels])

async function step(): Promise<void> {
  const parameters = model.parameters()
  const { loss, gradients } = valueAndGradients(parameters, () => {
    const { digits, quantization } = model.forward(x, { training: true, key: dataKey })
    return { loss: tf.add(tf.mean(tf.squaredDifference(digits, x)), quantization.loss) as tf.Scalar }
  })
  optimizer.step(parameters, gradients)
  await loss.data()
  tf.dispose([loss, gradients])
}

for (let i = 0; i < warmUpSteps; i++) await step()
await answerRounds({ ...device.describe() }, async () => {
  const begun = performance.now()
  for (let i = 0; i < stepsPerRound; i++) await step()
  return (performance.now() - begun) / stepsPerRound
})

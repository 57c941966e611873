import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, key, meanSquaredError, train } from '@x/core-gpu'
import {
  diveq,
  gumbel,
  ibq,
  measureQuantizer,
  nsvq,
  optvq,
  type Quantizer,
  sfDiveq,
  simvq,
  vq,
  vqBridge,
  vqStePlusPlus,
  wassersteinVq,
} from '@x/vq'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import type { RunSpec } from '../../../result.ts'

const dim = 8
const trainPoints = 8192
const heldOutPoints = 32_768
const batchSize = 256
const learningRate = 1e-2

type Options = { readonly dim: number; readonly codebookSize: number; readonly key: Key }

const makers: Record<string, (options: Options, params: RunSpec['params']) => Quantizer> = {
  diveq,
  gumbel,
  ibq,
  nsvq,
  optvq,
  'sf-diveq': sfDiveq,
  simvq: (options, params) => simvq({ ...options, bias: params.bias === true }),
  vq,
  'vq-bridge': vqBridge,
  'vq-ste-plus-plus': vqStePlusPlus,
  'wasserstein-vq': wassersteinVq,
}

function makeCodebook({ method, params }: RunSpec, key: Key): Quantizer {
  const make = makers[method]
  if (make === undefined) throw new RangeError(`method: unknown "${method}"; known: ${Object.keys(makers).join(', ')}`)
  return make({ dim, codebookSize: Number(params.codebookSize), key }, params)
}

/** What codes learn from: the quantizer's own losses, or, where it has none, its error. */
function objective(quantizer: Quantizer, z: tf.Tensor, key: Key): tf.Scalar {
  const { quantized, loss, terms } = quantizer.quantize(z, { training: true, key })
  return Object.keys(terms).length > 0 ? loss : meanSquaredError(quantized, z)
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
    loss: (z, { key }) => objective(quantizer, z, key),
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

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, key, train } from '@x/core-gpu'
import { measureQuantizer, type Quantizer } from '@x/vq'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { mean } from '../../../statistics.ts'
import { peakDuring } from '../../kernels/memory.ts'
import { dim, makeQuantizer } from './quantizers.ts'

const batchSize = 1024
const learningRate = 1e-2
/** Held-out vectors for each code: with fewer than some 20, usage cannot be near 1. */
const vectorsPerCode = 20
const leastHeldOut = 2 ** 15
/** Vectors quantized at once where they are only counted, and where memory is measured. */
const heldOutBatch = 8192
const reportEvery = 10

/** Vectors whose numbers spread less and less, as those of trained encoders do: normal, deviation 1 / sqrt(1 + i). */
function drawVectors(key: Key, count: number): tf.Tensor2D {
  return tf.tidy(() => {
    const deviations = tf.rsqrt(tf.range(1, dim + 1)) // [d]
    return tf.mul(key.normal<tf.Rank.R2>([count, dim]), deviations)
  })
}

function* heldOutBatches(key: Key, count: number, done: (share: number) => void): Generator<tf.Tensor2D> {
  for (let start = 0; start < count; start += heldOutBatch) {
    const batch = drawVectors(key.fold(start / heldOutBatch), Math.min(heldOutBatch, count - start))
    yield batch
    batch.dispose()
    done(Math.min(1, (start + heldOutBatch) / count))
  }
}

/** How far memory rises when many vectors are quantized at once, in MB; nothing where the system does not say. */
async function memoryOfQuantizing(quantizer: Quantizer, key: Key): Promise<number[]> {
  const quantize = async (count: number): Promise<void> => {
    const z = drawVectors(key, count)
    const { quantized, indices, loss } = quantizer.quantize(z)
    await indices.data()
    tf.dispose([z, quantized, indices, loss])
  }
  await quantize(16)
  const peak = await peakDuring(() => quantize(heldOutBatch))
  return peak === null ? [] : [peak / 1e6]
}

/** Trains one quantizer on a stream of vectors and counts its codes on another. */
export async function trainScale({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const device = await openBackend(run.backend)
  const steps = run.quick ? 50 : 300
  const [codesKey, trainKey, heldOutKey, stepsKey] = key(run.seed).split(4) as [Key, Key, Key, Key]
  const quantizer = makeQuantizer(run, codesKey)
  const codes = quantizer.codebookSize
  const heldOutVectors = Math.max(vectorsPerCode * codes, leastHeldOut)
  const memory = await memoryOfQuantizing(quantizer, heldOutKey)

  const losses: number[] = []
  const stepTimes: number[] = []
  let begun = performance.now()
  await train(quantizer, {
    steps,
    optimizer: new AdamW({ learningRate, weightDecay: 0 }),
    key: stepsKey,
    progress: 'silent',
    signal,
    data: ({ step }) => drawVectors(trainKey.fold(step), batchSize),
    loss: (z, { key }) => {
      const { quantized, loss } = quantizer.quantize(z, { training: true, key })
      // Summed over a vector's numbers, as the losses of BSQ are.
      const error = tf.div(tf.sum(tf.squaredDifference(quantized, z)), batchSize) as tf.Scalar
      return { loss: tf.add(error, loss), metrics: { error } }
    },
    onStep: ({ step, metrics }) => {
      stepTimes.push(performance.now() - begun)
      losses.push(metrics.error!)
      progress((step + 1) / steps / 2, `error ${metrics.error!.toFixed(4)}`)
      begun = performance.now()
    },
  })
  signal.throwIfAborted()

  const batches = heldOutBatches(heldOutKey, heldOutVectors, (share) => {
    signal.throwIfAborted()
    progress(0.5 + share / 2, 'counting')
  })
  const { usage, perplexity, relativeError } = await measureQuantizer(quantizer, batches)
  quantizer.dispose()
  const blocks = Array.from({ length: steps / reportEvery }, (_, i) => i * reportEvery)
  const ofBlocks = (values: readonly number[]): number[] =>
    blocks.map((start) => mean(values.slice(start, start + reportEvery)))
  return {
    metrics: {
      usage: [usage],
      perplexity: [perplexity],
      relativeError: [relativeError],
      stepTime: ofBlocks(stepTimes).slice(1),
      ...(memory.length > 0 && { memory }),
    },
    curves: {
      loss: {
        title: 'error in training',
        unit: 'squared distance',
        steps: blocks.map((start) => start + reportEvery),
        values: ofBlocks(losses),
      },
    },
    facts: {
      steps,
      batchSize,
      learningRate,
      codes,
      data: `normal vectors of ${dim} numbers, the i-th with deviation 1 / sqrt(i), drawn from the seed`,
      heldOutVectors,
      vectorsAtOnce: heldOutBatch,
    },
    device: { ...device.describe() },
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, schedules, type StepReport, train } from '@x/core-gpu'
import { allRows, drawRows } from '../digits/batches.ts'
import type { CodePrior } from './prior.ts'

export const batchSize = 64
export const learningRate = 2e-3

/** Digits as a prior sees them. */
export interface CodedDigits {
  /** the class of each */
  readonly labels: Uint8Array
  /** [n x L] */
  readonly codes: Int32Array
}

type Batch = { labels: tf.Tensor1D; codes: tf.Tensor2D }

function batchOf({ labels, codes }: CodedDigits, rows: Int32Array, length: number): Batch {
  const own = Int32Array.from({ length: rows.length * length }, (_, i) => {
    return codes[rows[Math.floor(i / length)]! * length + (i % length)]!
  })
  return {
    labels: tf.tensor1d(
      Array.from(rows, (row) => labels[row]!),
      'int32',
    ),
    codes: tf.tensor2d(own, [rows.length, length], 'int32'),
  }
}

export interface TrainPriorOptions {
  readonly steps: number
  /** draws the batches */
  readonly key: Key
  readonly signal: AbortSignal
  /** waited for; the loss is in nats per code */
  readonly onStep?: (report: StepReport) => void | Promise<void>
}

/**
 * Trains a prior on the codes of digits.
 * @throws what the signal says, when it ends training
 */
export async function trainPrior(prior: CodePrior, digits: CodedDigits, options: TrainPriorOptions): Promise<void> {
  const { steps, key, signal, onStep } = options
  const rowsAt = drawRows(digits.labels.length, batchSize, key)
  const schedule = schedules.cosineDecay({ from: learningRate, steps })
  const optimizer = new AdamW({ learningRate: schedules.warmupThen(Math.ceil(steps / 20), schedule) })
  await train(prior, {
    steps,
    optimizer,
    clip: 1,
    progress: 'silent',
    signal,
    data: ({ step }) => batchOf(digits, rowsAt(step), prior.length),
    loss: ({ labels, codes }) => tf.mean(prior.negativeLogLikelihood(labels, codes)) as tf.Scalar,
    ...(onStep && { onStep }),
  })
  optimizer.dispose()
  signal.throwIfAborted()
}

/** What digits cost on average, in bits for each of their codes. */
export async function bitsPerToken(prior: CodePrior, digits: CodedDigits): Promise<number> {
  let nats = 0
  for (const rows of allRows(digits.labels.length)) {
    const sum = tf.tidy(() => {
      const { labels, codes } = batchOf(digits, rows, prior.length)
      return tf.sum(prior.negativeLogLikelihood(labels, codes))
    })
    nats += (await sum.data())[0]!
    sum.dispose()
  }
  return nats / Math.LN2 / digits.codes.length
}

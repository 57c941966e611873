import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import {
  AdamW,
  BaseModule,
  Conv2d,
  type Key,
  key,
  Linear,
  loadSafetensors,
  relu,
  saveSafetensors,
  schedules,
  train,
} from '@x/core-gpu'
import { benchDirectory } from '../../../places.ts'
import type { RunSpec } from '../../../result.ts'
import { allRows, digitsAt, drawRows } from '../digits/batches.ts'
import { type Digits, pixels } from '../digits/data.ts'
import { crossEntropy } from './cross-entropy.ts'

/** Numbers that the classifier tells digits by. */
export const features = 64
export const classes = 10
const side = Math.sqrt(pixels)
const batchSize = 64
const seed = 0

/** Two convolutions and two layers: 28 x 28 pixels to 64 features to 10 classes. */
export class DigitsClassifier extends BaseModule {
  readonly first: Conv2d
  readonly second: Conv2d
  readonly hidden: Linear
  readonly out: Linear

  constructor(key: Key) {
    super()
    const [first, second, hidden, out] = key.split(4) as [Key, Key, Key, Key]
    this.first = new Conv2d(1, 16, { kernelSize: 5, stride: 2, padding: 2, key: first })
    this.second = new Conv2d(16, 32, { kernelSize: 3, stride: 2, padding: 1, key: second })
    this.hidden = new Linear(7 * 7 * 32, features, { key: hidden })
    this.out = new Linear(features, classes, { key: out })
  }

  /** @param x [B, 784] @returns features [B, 64] and logits [B, 10] */
  forward(x: tf.Tensor2D): { features: tf.Tensor2D; logits: tf.Tensor2D } {
    return tf.tidy(() => {
      const image = tf.reshape(x, [-1, side, side, 1])
      const maps = relu(this.second.forward(relu(this.first.forward(image)))) // [B, 7, 7, 32]
      const features = relu(this.hidden.forward(tf.reshape(maps, [x.shape[0], -1]))) as tf.Tensor2D
      return { features, logits: this.out.forward(features) as tf.Tensor2D }
    })
  }
}

/** How many steps a run's classifier was trained. */
export function classifierSteps(run: Pick<RunSpec, 'quick'>): number {
  return run.quick ? 100 : 500
}

async function trainClassifier(digits: Digits, steps: number, signal: AbortSignal): Promise<DigitsClassifier> {
  const [modelKey, dataKey] = key(seed).split(2) as [Key, Key]
  const model = new DigitsClassifier(modelKey)
  const rowsAt = drawRows(digits.count, batchSize, dataKey)
  const optimizer = new AdamW({ learningRate: schedules.cosineDecay({ from: 2e-3, steps }) })
  await train(model, {
    steps,
    optimizer,
    progress: 'silent',
    signal,
    data: ({ step }) => {
      const rows = rowsAt(step)
      const labels = tf.tensor1d(
        Array.from(rows, (row) => digits.labels[row]!),
        'int32',
      )
      return { x: digitsAt(digits, rows), labels }
    },
    loss: ({ x, labels }) => tf.mean(crossEntropy(model.forward(x).logits, labels)),
  })
  optimizer.dispose()
  if (signal.aborted) model.dispose()
  signal.throwIfAborted()
  return model
}

/** One that an earlier run left; none when it is not there or not whole. */
async function readKept(file: string): Promise<DigitsClassifier | undefined> {
  if (!existsSync(file)) return undefined
  const model = new DigitsClassifier(key(seed))
  let kept: Record<string, tf.Tensor> = {}
  try {
    kept = (await loadSafetensors(file)).tensors
    model.load(kept)
    return model
  } catch {
    model.dispose()
    return undefined
  } finally {
    tf.dispose(kept)
  }
}

/**
 * The classifier that all runs of one version and backend see digits by, the same whatever their seed; it is kept in
 * `.bench/data`.
 * @throws what the signal says, when it ends training
 */
export async function loadClassifier(
  run: Pick<RunSpec, 'backend' | 'quick' | 'version'>,
  digits: Digits,
  signal: AbortSignal,
): Promise<DigitsClassifier> {
  const steps = classifierSteps(run)
  const file = join(benchDirectory(), 'data', `digits-classifier-${run.version}-${run.backend}-${steps}.safetensors`)
  const kept = await readKept(file)
  if (kept !== undefined) return kept
  const model = await trainClassifier(digits, steps, signal)
  await saveSafetensors(file, model.state())
  return model
}

/** What the classifier makes of digits. */
export interface Seen {
  /** [n x 64] */
  readonly features: Float32Array
  /** the likeliest class of each */
  readonly classes: Int32Array
}

/** Looks at digits. @param values [n x 784], 0 to 1 */
export async function see(model: DigitsClassifier, values: Float32Array): Promise<Seen> {
  const count = values.length / pixels
  const seen = { features: new Float32Array(count * features), classes: new Int32Array(count) }
  for (const rows of allRows(count)) {
    const first = rows[0]!
    const made = tf.tidy(() => {
      const own = values.subarray(first * pixels, (first + rows.length) * pixels)
      const { features, logits } = model.forward(tf.tensor2d(own, [rows.length, pixels]))
      return { features, classes: tf.argMax(logits, 1) }
    })
    seen.features.set(await made.features.data(), first * features)
    seen.classes.set(await made.classes.data(), first)
    tf.dispose(made)
  }
  return seen
}

/** The share of digits that are seen as what they should be. */
export function agreement({ classes }: Seen, labels: Uint8Array): number {
  return classes.reduce((sum, seen, i) => sum + Number(seen === labels[i]), 0) / classes.length
}

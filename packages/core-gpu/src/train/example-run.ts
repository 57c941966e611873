import * as tf from '@tensorflow/tfjs-core'
import { Activation, silu } from '../nn/activations.ts'
import { BatchNorm } from '../nn/batch-norm.ts'
import { Dropout } from '../nn/dropout.ts'
import { Linear } from '../nn/linear.ts'
import { Sequential } from '../nn/sequential.ts'
import { AdamW } from '../optim/adamw.ts'
import { cosineDecay } from '../optim/schedules.ts'
import { key } from '../random/key.ts'
import type { CheckpointStore } from './checkpoint-store.ts'
import type { LossAndMetrics, StepContext, TrainOptions } from './train.ts'

export interface Batch extends tf.TensorContainerObject {
  x: tf.Tensor
  y: tf.Tensor
}

/** A checkpoint kept in memory, and how often it was written. */
export function memoryStore(): CheckpointStore & { bytes: Uint8Array | null; writes: number } {
  return {
    bytes: null,
    writes: 0,
    async read() {
      return this.bytes
    },
    async write(bytes) {
      this.bytes = bytes
      this.writes += 1
    },
  }
}

/** A small network with everything in it that a step may move: weights, running statistics, dropout. */
function makeNet(): Sequential {
  const [a, b] = key(1).split(2)
  return new Sequential(
    new Linear(3, 8, { key: a! }),
    new BatchNorm(8),
    new Activation(silu),
    new Dropout(0.2),
    new Linear(8, 1, { key: b! }),
  )
}

export function data({ key }: StepContext): Batch {
  const x = key.normal([16, 3])
  return { x, y: tf.sum(x, 1, true) }
}

export function lossOf(net: Sequential): (batch: Batch, context: StepContext) => Required<LossAndMetrics> {
  return ({ x, y }, { key }) => {
    const difference = tf.sub(net.forward(x, { training: true, key }), y)
    const loss = tf.mean(tf.square(difference)) as tf.Scalar
    return { loss, metrics: { worst: tf.max(tf.abs(difference)) as tf.Scalar } }
  }
}

export interface Run {
  readonly net: Sequential
  readonly options: TrainOptions<Batch>
  dispose(): void
}

/** A network and the options to train it by; the same at every call. */
export function makeRun(more: Partial<TrainOptions<Batch>> = {}): Run {
  const net = makeNet()
  const optimizer = new AdamW({ learningRate: cosineDecay({ from: 0.02, steps: 40 }) })
  const options = { data, loss: lossOf(net), optimizer, steps: 12, clip: 1, progress: 'silent' as const, ...more }
  return {
    net,
    options,
    dispose() {
      net.dispose()
      options.optimizer.dispose()
    },
  }
}

export async function valuesOf(state: Record<string, tf.Tensor>): Promise<Record<string, number[]>> {
  const entries = Object.entries(state).map(async ([name, t]) => [name, Array.from(await t.data())] as const)
  return Object.fromEntries(await Promise.all(entries))
}

import * as tf from '@tensorflow/tfjs-core'
import { type Attention, mha, rope } from '@x/attention'
import { type Key, key } from '@x/core-gpu'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { peakDuring } from '../../kernels/memory.ts'

const [dim, heads] = [64, 4]

/** The same attention, by kernels or by plain operations that form all scores at once. */
function forwardOf(method: string, attention: Attention): (x: tf.Tensor3D) => tf.Tensor {
  if (method === 'tiled') return (x) => attention.forward(x)
  if (method === 'naive') return (x) => naive(x)
  throw new RangeError(`method: unknown "${method}"; known: tiled, naive`)
}

/** softmax(q k^T / sqrt d) v under a causal mask, as it is written. */
function naive(x: tf.Tensor3D): tf.Tensor {
  return tf.tidy(() => {
    const [, length] = x.shape
    const perHead = tf.transpose(tf.reshape(x, [length, heads, dim / heads]), [1, 0, 2]) // [h, L, d]
    const scores = tf.mul(tf.matMul(perHead, perHead, false, true), (dim / heads) ** -0.5) // [h, L, L]
    const places = tf.range(0, length)
    const later = tf.greater(tf.expandDims(places, 0), tf.expandDims(places, 1)) // [L, L]
    return tf.matMul(tf.softmax(tf.where(later, -1e9, scores)), perHead)
  })
}

/** Measures one forward pass in a process that has done nothing of the kind before. */
export async function measureMemory({ run, signal }: TaskContext): Promise<TaskOutcome> {
  const device = await openBackend(run.backend)
  const length = Number(run.params.length)
  const [weights, data] = key(run.seed).split(2) as [Key, Key]
  const attention = mha({ dim, heads, positions: rope(), key: weights })
  const forward = forwardOf(run.method, attention)
  const small = data.normal<tf.Rank.R3>([1, 64, dim])
  const warm = forward(small)
  await warm.data()
  const x = data.normal<tf.Rank.R3>([1, length, dim])
  await x.data()
  signal.throwIfAborted()
  let ms = 0
  const peak = await peakDuring(async () => {
    const begun = performance.now()
    const y = forward(x)
    await y.data()
    ms = performance.now() - begun
    y.dispose()
  })
  tf.dispose([small, warm, x])
  attention.dispose()
  return {
    metrics: { time: [ms], ...(peak !== null && { memory: [peak / 1e6] }) },
    facts: { length, dim, heads, inputMB: (4 * length * dim) / 1e6 },
    device: { ...device.describe() },
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { characterTokenizer, type Decoder, nextTokenLoss } from '@x/attention'
import { AdamW, type Key, key, schedules, train } from '@x/core-gpu'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { mean } from '../../../statistics.ts'
import { loadText } from './text.ts'
import { type Comparison, elementsOf, makeModel } from './variants.ts'

const batchSize = 8
/** characters that are predicted at once */
const length = 128
const learningRate = 3e-3
const reportEvery = 20

/** Windows of a text, `length` predictions each. */
function windows(tokens: Int32Array, starts: readonly number[]): tf.Tensor2D {
  const rows = new Int32Array(starts.length * (length + 1))
  starts.forEach((start, row) => rows.set(tokens.subarray(start, start + length + 1), row * (length + 1)))
  return tf.tensor2d(rows, [starts.length, length + 1], 'int32')
}

/** Mean of -log2 p over a text, cut into windows that begin anew. */
async function bitsOf(
  model: Decoder,
  tokens: Int32Array,
  count: number,
  done: (share: number) => void,
): Promise<number> {
  const starts = Array.from({ length: count }, (_, i) => i * length)
  let sum = 0
  for (let from = 0; from < count; from += batchSize) {
    const own = starts.slice(from, from + batchSize)
    const batch = windows(tokens, own)
    const loss = nextTokenLoss(model, batch)
    sum += (await loss.data())[0]! * own.length
    tf.dispose([batch, loss])
    done(Math.min(1, (from + batchSize) / count))
  }
  return sum / count / Math.LN2
}

/** Trains one decoder and measures it on the chapters that it has not seen. */
export async function trainLm({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const device = await openBackend(run.backend)
  const { train: text, heldOut, sha256 } = loadText()
  const { encode, vocabulary } = characterTokenizer(text + heldOut)
  const [tokens, unseen] = [text, heldOut].map((part) => Int32Array.from(encode(part))) as [Int32Array, Int32Array]
  const steps = run.quick ? 30 : 500
  const warmup = Math.ceil(steps / 15)
  const [modelKey, dataKey] = key(run.seed).split(2) as [Key, Key]
  const model = makeModel(run.method, run.params.comparison as Comparison, vocabulary, modelKey)
  const optimizer = new AdamW({
    learningRate: schedules.warmupThen(warmup, schedules.cosineDecay({ from: learningRate, steps: steps - warmup })),
  })
  const losses: number[] = []
  try {
    await train(model, {
      steps,
      optimizer,
      clip: 1,
      progress: 'silent',
      signal,
      data: ({ step }) => {
        const words = Array.from(dataKey.fold(step).bits(batchSize))
        return windows(tokens, words.map((word) => word % (tokens.length - length - 1))) // prettier-ignore
      },
      loss: (batch) => nextTokenLoss(model, batch, { training: true }),
      onStep: ({ step, loss }) => {
        losses.push(loss / Math.LN2)
        progress((0.8 * (step + 1)) / steps, `${(loss / Math.LN2).toFixed(3)} bits/character`)
      },
    })
    signal.throwIfAborted()
    const most = Math.floor((unseen.length - 1) / length)
    const count = run.quick ? 2 * batchSize : most
    const judge = (of: Int32Array, windowCount: number, from: number, share: number): Promise<number> =>
      bitsOf(model, of, windowCount, (done) => {
        signal.throwIfAborted()
        progress(from + share * done, 'held-out chapters')
      })
    const bits = await judge(unseen, count, 0.8, 0.15)
    const trainBits = await judge(tokens, Math.min(count, 200), 0.95, 0.05)
    const { attention } = model.blocks[0]!
    const cache = attention.createCache({ batch: 1, capacity: length })
    const bytes = cache.bytes / length
    cache.dispose()
    const blocks = Array.from({ length: Math.floor(steps / reportEvery) }, (_, i) => i * reportEvery)
    return {
      metrics: { bits: [bits], trainBits: [trainBits], cache: [bytes] },
      curves: {
        loss: {
          title: 'bits in training',
          unit: 'bits/character',
          steps: blocks.map((start) => start + reportEvery),
          values: blocks.map((start) => mean(losses.slice(start, start + reportEvery))),
        },
      },
      facts: {
        steps,
        batchSize,
        length,
        learningRate,
        parameters: model.size,
        cacheElements: elementsOf(attention),
        heldOutCharacters: count * length,
        data: 'Moby Dick, every tenth chapter held out',
        sha256,
      },
      device: { ...device.describe() },
    }
  } finally {
    optimizer.dispose()
    model.dispose()
  }
}

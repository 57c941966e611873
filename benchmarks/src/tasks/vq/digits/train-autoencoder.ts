import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, key, meanSquaredError, type StepReport, train } from '@x/core-gpu'
import type { RunSpec } from '../../../result.ts'
import { DigitsAutoencoder } from './autoencoder.ts'
import { digitsAt, drawRows } from './batches.ts'
import type { Digits } from './data.ts'
import { makeQuantizer } from './quantizers.ts'

export const batchSize = 64
export const learningRate = 1e-3

/** The same seed gives all methods the same first weights and the same batches. */
function keysOf(run: Pick<RunSpec, 'seed'>): Record<'model' | 'quantizer' | 'data' | 'train', Key> {
  const [model, quantizer, data, train] = key(run.seed).split(4) as [Key, Key, Key, Key]
  return { model, quantizer, data, train }
}

/** How many steps a run trains the autoencoder. */
export function stepsOf(run: Pick<RunSpec, 'quick'>): number {
  return run.quick ? 200 : 1000
}

/** The untrained autoencoder of a run. @throws RangeError for an unknown method */
export function makeAutoencoder(run: Pick<RunSpec, 'method' | 'params' | 'seed'>): DigitsAutoencoder {
  const keys = keysOf(run)
  return new DigitsAutoencoder(makeQuantizer(run.method, run.params, keys.quantizer), keys.model)
}

export interface TrainAutoencoderOptions {
  readonly signal: AbortSignal
  /** waited for; `metrics.reconstruction` is the error without the quantizer's losses */
  readonly onStep?: (report: StepReport) => void | Promise<void>
}

/**
 * Trains the autoencoder of a run.
 * @throws what the signal says, when it ends training
 */
export async function trainAutoencoder(
  model: DigitsAutoencoder,
  run: Pick<RunSpec, 'seed' | 'quick'>,
  digits: Digits,
  options: TrainAutoencoderOptions,
): Promise<void> {
  const { signal, onStep } = options
  const keys = keysOf(run)
  const rowsAt = drawRows(digits.count, batchSize, keys.data)
  const optimizer = new AdamW({ learningRate, weightDecay: 0 })
  await train(model, {
    steps: stepsOf(run),
    optimizer,
    key: keys.train,
    progress: 'silent',
    signal,
    data: ({ step }) => digitsAt(digits, rowsAt(step)),
    loss: (x, { key }) => {
      const { digits, quantization } = model.forward(x, { training: true, key })
      const reconstruction = meanSquaredError(digits, x)
      return { loss: tf.add(reconstruction, quantization.loss), metrics: { reconstruction } }
    },
    ...(onStep && { onStep }),
  })
  optimizer.dispose()
  signal.throwIfAborted()
}

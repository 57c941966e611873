import * as tf from '@tensorflow/tfjs-core'
import { AdamW, type Key, key, train } from '@x/core-gpu'
import { QuantizationMeter } from '@x/vq'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { mean } from '../../../statistics.ts'
import { FrameCodec, layerBits, makeQuantizer } from './autoencoder.ts'
import { drawFrames, frameLength } from './signals.ts'

const batchSize = 512
const learningRate = 2e-3
const signals = 512
const reportEvery = 10

/** Quantizes and decodes all frames. @returns how far they are from what went in, in dB, and what codes they took */
async function measure(
  model: FrameCodec,
  frames: tf.Tensor2D,
): Promise<{ signalToNoise: number; entropy: number; usage: number; perplexity: number }> {
  const made = tf.tidy(() => {
    const out = model.forward(frames, { training: false })
    const power = tf.sum(tf.square(frames))
    const error = tf.sum(tf.squaredDifference(out.frames, frames))
    const { quantized, indices } = out.quantization
    return { z: out.z, quantized, indices, sums: tf.stack([power, error]) }
  })
  const meter = new QuantizationMeter(model.quantizer)
  await meter.add(made.z, made.quantized, made.indices)
  const [power, error] = (await made.sums.data()) as unknown as [number, number]
  tf.dispose(made)
  const { codebooks, usage, perplexity } = meter.statistics()
  const entropy = codebooks.reduce((sum, layer) => sum + Math.log2(layer.perplexity), 0)
  return { signalToNoise: 10 * Math.log10(power / error), entropy, usage, perplexity }
}

/** Trains one codec and measures it on fresh signals. */
export async function trainCodec({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const device = await openBackend(run.backend)
  const steps = run.quick ? 50 : 600
  const keys = key(run.seed).split(5) as [Key, Key, Key, Key, Key]
  const [modelKey, quantizerKey, trainKey, heldOutKey, stepsKey] = keys
  const model = new FrameCodec(makeQuantizer(run, quantizerKey), modelKey)
  const frames = drawFrames(trainKey, signals)
  const heldOut = drawFrames(heldOutKey, signals)

  const losses: number[] = []
  await train(model, {
    steps,
    optimizer: new AdamW({ learningRate, weightDecay: 0 }),
    key: stepsKey,
    progress: 'silent',
    signal,
    data: ({ key }) =>
      tf.tidy(() => tf.gather(frames, key.integers<tf.Rank.R1>([batchSize], { high: frames.shape[0] }))),
    loss: (x, { key }) => {
      const { frames, quantization } = model.forward(x, { training: true, key })
      const error = tf.mean(tf.squaredDifference(frames, x)) as tf.Scalar
      return { loss: tf.add(error, quantization.loss), metrics: { error } }
    },
    onStep: ({ step, metrics }) => {
      losses.push(metrics.error!)
      progress((step + 1) / steps, `error ${metrics.error!.toFixed(4)}`)
    },
  })
  signal.throwIfAborted()

  const { signalToNoise, entropy, usage, perplexity } = await measure(model, heldOut)
  const heldOutVectors = heldOut.shape[0]
  const { codebookSize, codebooks, dim } = model.quantizer
  tf.dispose([frames, heldOut])
  model.dispose()
  const blocks = Array.from({ length: steps / reportEvery }, (_, i) => i * reportEvery)
  return {
    metrics: { signalToNoise: [signalToNoise], entropy: [entropy], usage: [usage], perplexity: [perplexity] },
    curves: {
      loss: {
        title: 'error in training',
        unit: 'mse',
        steps: blocks.map((start) => start + reportEvery),
        values: blocks.map((start) => mean(losses.slice(start, start + reportEvery))),
      },
    },
    facts: {
      steps,
      batchSize,
      learningRate,
      layers: codebooks,
      layerBits,
      codebookSize,
      latentDimension: dim,
      frameLength,
      data: 'sums of 4 decaying chirps of 2048 samples and noise of deviation 0.01, drawn from the seed',
      trainSignals: signals,
      heldOutSignals: signals,
      heldOutVectors,
    },
    device: { ...device.describe() },
  }
}

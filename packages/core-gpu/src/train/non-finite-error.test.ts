import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { decodeSafetensors } from '../checkpoint/safetensors.ts'
import type { Sequential } from '../nn/sequential.ts'
import { type Batch, data, lossOf, makeRun, memoryStore, valuesOf } from './example-run.ts'
import { NonFiniteError } from './non-finite-error.ts'
import { train, type TrainOptions } from './train.ts'

describe('train stops at what is not finite', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  const bad = (t: tf.Tensor): tf.Tensor => tf.mul(t, Number.NaN)
  const cases: [string, (net: Sequential) => Partial<TrainOptions<Batch>>, string][] = [
    [
      'a batch',
      () => ({
        data: (context) => {
          const { x, y } = data(context)
          if (context.step < 3) return { x, y }
          y.dispose()
          return { x, y: tf.fill([16, 1], Infinity) }
        },
      }),
      'batch.y',
    ],
    [
      'a metric, before the loss that follows from it',
      () => ({
        loss: ({ x }, { step }) => {
          const kl = tf.mean(step < 3 ? x : bad(x)) as tf.Scalar
          return { loss: tf.square(kl), metrics: { fine: tf.scalar(1), kl } }
        },
      }),
      'metrics.kl',
    ],
    [
      'the loss',
      (net) => ({
        loss: (batch, context) => {
          const { loss } = lossOf(net)(batch, context)
          return context.step < 3 ? loss : tf.log(tf.sub(0, tf.abs(loss)))
        },
      }),
      'loss',
    ],
    [
      'a gradient',
      (net) => ({
        loss: (batch, context) => {
          const { loss } = lossOf(net)(batch, context)
          // The square root of 0 has the value 0 and an endless slope.
          const bias = net.parameters()['4.bias']!
          return context.step < 3 ? loss : tf.add(loss, tf.sum(tf.sqrt(tf.mul(bias, 0))))
        },
      }),
      'gradients.4.bias',
    ],
  ]
  it.each(cases)('%s', async (_name, change, tensor) => {
    const store = memoryStore()
    const run = makeRun({ checkpoint: { store, every: 1 } })
    const before = tf.memory().numTensors
    const failure = await train(run.net, { ...run.options, ...change(run.net) }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(NonFiniteError)
    expect(failure).toMatchObject({ step: 3, tensor })
    expect((failure as Error).message).toContain(`step 3: ${tensor} is not finite`)
    // Parameters and running statistics are those of the last good step, which the checkpoint holds too.
    const { tensors, metadata } = decodeSafetensors(store.bytes!)
    expect(metadata.step).toBe('3')
    const saved = await valuesOf(tensors)
    for (const [name, values] of Object.entries(await valuesOf(run.net.state())))
      expect(values).toEqual(saved[`module.${name}`])
    tf.dispose(tensors)
    run.options.optimizer.dispose()
    // The optimizer's step count was there before.
    expect(tf.memory().numTensors).toBe(before - 1)
  })

  it('a parameter', async () => {
    const run = makeRun()
    tf.tidy(() => run.net.parameters()['1.bias']!.assign(tf.fill([8], Number.NaN)))
    await expect(train(run.net, run.options)).rejects.toMatchObject({ step: 0, tensor: 'parameters.1.bias' })
  })

  it('gradients that are finite one by one but not together', async () => {
    const run = makeRun({ loss: () => tf.sum(tf.mul(run.net.parameters()['0.weight']!, 1e30)) as tf.Scalar })
    await expect(train(run.net, run.options)).rejects.toMatchObject({ tensor: 'gradients' })
  })
})

import * as tf from '@tensorflow/tfjs-core'
import { describe, expect, it } from 'vitest'
import type { BackendError } from '../backends/backend-error.ts'
import { useBackend } from '../backends/use-backend.ts'
import { orthogonal } from '../nn/initialisers.ts'
import { WeightEma } from '../optim/weight-ema.ts'
import { key } from '../random/key.ts'
import { makeRun, memoryStore, valuesOf } from './example-run.ts'
import { train } from './train.ts'

const absent = await useBackend('webgpu').then(
  () => undefined,
  (error: BackendError) => error.attempts[0]!.reason,
)
const name = absent === undefined ? 'train on webgpu' : `train on webgpu (skipped: ${absent})`

describe.skipIf(absent !== undefined)(name, () => {
  it('ends in the same bits when stopped and resumed, and leaves no tensor behind', async () => {
    const before = tf.memory().numTensors
    const whole = makeRun()
    const wholeEma = new WeightEma(whole.net, { decay: 0.9 })
    await train(whole.net, { ...whole.options, ema: wholeEma })
    const checkpoint = { store: memoryStore(), every: 100 }
    for (const steps of [5, 12]) {
      const run = makeRun({ checkpoint, steps })
      const ema = new WeightEma(run.net, { decay: 0.9 })
      await train(run.net, { ...run.options, ema })
      if (steps === 12)
        expect(await valuesOf({ ...run.net.state(), ...ema.state() })).toEqual(
          await valuesOf({ ...whole.net.state(), ...wholeEma.state() }),
        )
      run.dispose()
      ema.dispose()
    }
    whole.dispose()
    wholeEma.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  it('makes orthogonal matrices, which are drawn in JavaScript', async () => {
    const matrix = orthogonal()([3, 3], { in: 3, out: 3 }, key(1))
    const gram = tf.tidy(() => tf.matMul(matrix as tf.Tensor2D, matrix as tf.Tensor2D, true))
    ;(await gram.data()).forEach((v, i) => expect(v).toBeCloseTo(i % 4 === 0 ? 1 : 0, 4))
    tf.dispose([matrix, gram])
  })
})

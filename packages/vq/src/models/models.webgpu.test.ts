import * as tf from '@tensorflow/tfjs-core'
import { BackendError, type Device, key, useBackend } from '@x/core-gpu'
import { describe, expect, it } from 'vitest'
import { ganOptions, stepOf, vqGanConformance } from './vq-gan/example-gan.ts'
import { vqGan } from './vq-gan/vq-gan.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

// The first step compiles every program, which takes a software driver its time.
describe.skipIf(!device)(`image models on webgpu (${where})`, { timeout: 300_000 }, () => {
  // Whatever depends on no backend is tried elsewhere: a software adapter is slow at all of it.
  const own = vqGanConformance().filter(({ name }) => !/determined by|leaves no tensor|round trip/.test(name))
  it.each(own)('$name', ({ run }) => run())

  it('take the same step as on the CPU', async () => {
    const step = async (backend: 'cpu' | 'webgpu'): Promise<Record<string, Float32Array>> => {
      await useBackend(backend)
      const model = vqGan(ganOptions(key(1)))
      const tensors = stepOf(model, key(2))
      const read = Object.entries(tensors).map(async ([name, x]) => [name, await x.data<'float32'>()] as const)
      const values = Object.fromEntries(await Promise.all(read))
      tf.dispose(tensors)
      model.dispose()
      return values
    }
    const [wanted, got] = [await step('cpu'), await step('webgpu')]
    expect(Object.keys(got)).toEqual(Object.keys(wanted))
    for (const [name, values] of Object.entries(wanted)) {
      const scale = Math.max(1e-2, ...values.map(Math.abs))
      values.forEach((value, i) => {
        if (!(Math.abs(got[name]![i]! - value) < 5e-3 * scale))
          expect.fail(`${name}[${i}]: ${got[name]![i]}, on the CPU ${value}`)
      })
    }
  })
})

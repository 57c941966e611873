import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const library = new URL('../packages/core-gpu/dist/index.js', import.meta.url)

// In plain Node, as a user's program runs: nothing is closed, and the process must end by itself.
it('a process that used threads ends by itself', async () => {
  const program = `
    import * as tf from '@tensorflow/tfjs-core'
    import { useBackend } from '${library}'
    const device = await useBackend('wasm', { threads: 2 })
    const x = tf.ones([500, 500])
    console.log(device.describe().threads, tf.matMul(x, x).dataSync()[7])`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: new URL('../benchmarks', import.meta.url),
    timeout: 60_000,
  })
  expect(stdout).toBe('2 500\n')
})

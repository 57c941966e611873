import * as tf from '@tensorflow/tfjs-core'
import { expect, it } from 'vitest'
import { makeTensor, runProgram, takeOver } from './webgpu-program.ts'

/** Cases of compute programs, on the webgpu backend. */
export function programCases(): void {
  it('run more workgroups than one dimension takes', async () => {
    const workgroups = 70_000
    const numbers = makeTensor(tf.backend(), [workgroups], 'int32')
    runProgram(tf.backend(), {
      name: 'count',
      reads: {},
      writes: { numbers },
      numbers: { one: 1 },
      workgroups,
      workgroupSize: 1,
      main: 'numbers[group] = i32(group) + i32(u.one);',
    })
    const tensor = tf.engine().makeTensorFromTensorInfo(numbers)
    const values = await tensor.data()
    expect(values.findIndex((value, i) => value !== i + 1)).toBe(-1)
    tensor.dispose()
  })

  it('change in place, in order with operations of TensorFlow.js', async () => {
    const x = tf.tensor1d([1, 2, 3])
    const doubled = tf.mul(x, 2)
    const own = tf.engine().makeTensorFromTensorInfo(takeOver(tf.backend(), doubled))
    doubled.dispose()
    for (let i = 0; i < 3; i++) {
      runProgram(tf.backend(), {
        name: 'add one',
        reads: {},
        writes: { own },
        workgroups: 1,
        workgroupSize: 4,
        main: 'if (lane < 3u) { own[lane] += 1.0; }',
      })
      const squared = tf.square(own)
      const expected = [3 + i, 5 + i, 7 + i]
      expect(Array.from(await squared.data())).toEqual(expected.map((v) => v * v))
      expect(Array.from(await own.data())).toEqual(expected)
      squared.dispose()
    }
    tf.dispose([x, own])
  })

  it('say how large a tensor is that the adapter cannot bind', () => {
    // Computed, so that it is there: the device below has no commands to bring it.
    const x = tf.tidy(() => tf.square(tf.tensor1d([1])))
    const device = { limits: { maxStorageBufferBindingSize: 2 } }
    const backend = Object.create(tf.backend(), { device: { value: device } }) as tf.KernelBackend
    const program = { name: 'copy', reads: { x }, writes: {}, workgroups: 1, main: '' }
    expect(() => runProgram(backend, program)).toThrow(/copy: a tensor of 4 bytes, and this adapter binds at most 2/)
    x.dispose()
  })
}

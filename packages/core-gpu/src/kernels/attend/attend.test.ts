import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { valueAndGradients } from '../../autodiff/value-and-gradients.ts'
import { checkGradients } from '../../testing/finite-differences.ts'
import { hasKernel } from '../registry.ts'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import type { WasmBackend } from '../pack.ts'
import { type AttendCase, attendCases, plain, problemOf, tensorsOf } from './attend.cases.ts'
import { attend } from './attend.ts'
import type { AttendOptions } from './contract.ts'
import { exactAttention, type ExactProblem } from './exact.ts'

/** Runs a case forwards and backwards and compares everything with the definition. */
function expectExact(
  problem: ExactProblem,
  options: AttendCase['options'],
  which: 'both' | 'output',
  tolerance = 1e-5,
): void {
  const exact = exactAttention(which === 'both' ? problem : { ...problem, dLogSumExp: [] })
  tf.tidy(() => {
    const { mask, ...inputs } = tensorsOf(problem)
    const run = (x: typeof inputs): { output: tf.Tensor4D; logSumExp: tf.Tensor3D } =>
      attend(x.q, x.k, x.v, {
        ...options,
        ...(mask && { mask }),
        ...(x.bias && { bias: x.bias }),
        ...(x.sinks && { sinks: x.sinks }),
      })
    const { output, logSumExp } = run(inputs)
    expectClose(output.dataSync(), exact.output, tolerance)
    expectClose(logSumExp.dataSync(), exact.logSumExp, tolerance)

    const names = Object.keys(inputs) as (keyof typeof inputs)[]
    const weighted = (...args: tf.Tensor[]): tf.Scalar => {
      const attended = run(Object.fromEntries(names.map((name, i) => [name, args[i]!])) as typeof inputs)
      const dOutput = tf.tensor(Float32Array.from(problem.dOutput!), attended.output.shape)
      const sum = tf.sum(tf.mul(attended.output, dOutput)) as tf.Scalar
      if (which === 'output') return sum
      const dSum = tf.tensor(Float32Array.from(problem.dLogSumExp!), attended.logSumExp.shape)
      const some = tf.greater(attended.logSumExp, -1e30) // also keeps -Infinity out of the sum
      return tf.add(sum, tf.sum(tf.mul(tf.where(stop(some), attended.logSumExp, 0), dSum)))
    }
    const gradients = tf.grads(weighted)(names.map((name) => inputs[name]!))
    const expected: Record<string, Float64Array> = {
      q: exact.dq,
      k: exact.dk,
      v: exact.dv,
      bias: exact.dBias,
      sinks: exact.dSinks,
    }
    names.forEach((name, i) => {
      try {
        expect(gradients[i]!.shape).toEqual(inputs[name]!.shape)
        expectClose(gradients[i]!.dataSync(), expected[name]!, tolerance * 4)
      } catch (error) {
        throw new Error(`gradient of ${name}: ${(error as Error).message}`, { cause: error })
      }
    })
  })
}

const stop = (x: tf.Tensor): tf.Tensor => tf.tensor(x.dataSync(), x.shape, x.dtype)

describe.each(deviceCases)('attend on $title', (device) => {
  beforeAll(() => useCase(device))
  const tiled = device.options.simd === 'relaxed' || device.options.simd === 'simd'

  it('follows its definition, forwards and backwards', () => {
    fc.assert(
      fc.property(attendCases, fc.constantFrom('both' as const, 'output' as const), (problem, which) =>
        expectExact(problemOf(problem), problem.options, which),
      ),
      { numRuns: hasKernel('XAttend') ? 80 : 10 },
    )
  })

  it.runIf(tiled).each([
    ['square, causal', 150, 150, { causal: true }],
    ['tall, causal: rows that see nothing', 140, 90, { causal: true }],
    ['wide, causal', 65, 201, { causal: true }],
    ['a window that leaves tiles out on both sides', 190, 190, { window: 17 }],
    ['a window to both sides', 130, 170, { window: [33, 5] as const }],
  ])('over several tiles: %s', (_, queries, keys, options) => {
    const sizes = { heads: 4, groups: 2, queries, keys, width: 33, valueWidth: 18 }
    expectExact(problemOf(plain(sizes, { options, sinks: true })), options, 'both')
    expectExact(problemOf(plain({ ...sizes, batch: 4 }, { options, sinks: true })), options, 'both')
  })

  it.runIf(tiled).each([1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13, 47, 48, 49, 63, 64, 65, 95, 96, 97])(
    'at the edge of a tile: %i keys and queries',
    (n) => {
      const options = { causal: true }
      for (const batch of [1, 8])
        expectExact(problemOf(plain({ batch, queries: n, keys: n, width: 5 }, { options })), options, 'both')
      expectExact(problemOf(plain({ queries: 3, keys: n })), {}, 'output')
      expectExact(problemOf(plain({ queries: n, keys: 3 })), {}, 'output')
    },
  )

  it.each([4, 64, 128, 256])('for heads of %i', (width) => {
    expectExact(problemOf(plain({ width, valueWidth: width })), {}, 'both')
  })

  it.runIf(tiled)('finds the greatest score at every slot of every tile', () => {
    const keys = 140
    const problem = problemOf(plain({ heads: 1, queries: 1, keys }))
    for (let slot = 0; slot < keys; slot++) {
      const bias = {
        shape: [1, 1, 1, keys],
        values: Float32Array.from({ length: keys }, (_, j) => (j === slot ? 300 : 0)),
      }
      const exact = exactAttention({ ...problem, bias })
      tf.tidy(() => {
        const { q, k, v, ...rest } = tensorsOf({ ...problem, bias })
        const { output, logSumExp } = attend(q, k, v, rest)
        expectClose(output.dataSync(), exact.output)
        expectClose(logSumExp.dataSync(), exact.logSumExp)
      })
    }
  })

  it('bears scores of 10,000', () => {
    const problem = problemOf(plain({ queries: 70, keys: 70, width: 8 }), 90)
    const { output, logSumExp } = exactAttention(problem)
    expect(Math.max(...logSumExp)).toBeGreaterThan(5000)
    tf.tidy(() => {
      const { q, k, v } = tensorsOf(problem)
      const got = attend(q, k, v)
      // A score of 10,000 is known to 1e-3.
      expectClose(got.output.dataSync(), output, 2e-2)
      expectClose(got.logSumExp.dataSync(), logSumExp)
    })
  })

  it('gives nothing, and no gradient, to rows that a bias of -Infinity or a mask hides', () => {
    const base = problemOf(plain({ queries: 20, keys: 70 }))
    const hidden = (i: number, j: number): boolean => i % 3 === 0 || j === 7
    const table = (shown: number, other: number): Float32Array =>
      Float32Array.from({ length: 20 * 70 }, (_, at) => (hidden(Math.floor(at / 70), at % 70) ? other : shown))
    expectExact({ ...base, bias: { shape: [1, 1, 20, 70], values: table(0.5, -Infinity) } }, {}, 'both')
    expectExact({ ...base, mask: { shape: [1, 1, 20, 70], values: table(1, 0) } }, {}, 'both')
    expectExact({ ...base, mask: { shape: [1, 1, 20, 70], values: table(1, 0) }, sinks: [0.3, -Infinity] }, {}, 'both')
  })

  it('takes a bias of fewer dimensions', () => {
    tf.tidy(() => {
      const { q, k, v } = tensorsOf(problemOf(plain({})))
      const bias = tf.tensor1d(numbers(13))
      const wide = attend(q, k, v, { bias: tf.tile(tf.reshape(bias, [1, 1, 1, 13]), [1, 2, 9, 1]) })
      expectClose(attend(q, k, v, { bias }).output.dataSync(), wide.output.dataSync())
    })
  })

  it('agrees with finite differences', async () => {
    const { q, k, v, bias, sinks } = tensorsOf(
      problemOf(plain({ queries: 4, keys: 5 }, { bias: [false, true, false, true], sinks: true })),
    )
    const f = (x: Record<'q' | 'k' | 'v' | 'bias' | 'sinks', tf.Tensor>): tf.Tensor => {
      const options = { causal: true, softcap: 2, bias: x.bias, sinks: x.sinks as tf.Tensor1D }
      const { output, logSumExp } = attend(x.q as tf.Tensor4D, x.k as tf.Tensor4D, x.v as tf.Tensor4D, options)
      return tf.concat([output, tf.expandDims(logSumExp, 3)], 3)
    }
    await checkGradients(f, { q, k, v, bias: bias!, sinks: sinks! })
    tf.dispose([q, k, v, bias!, sinks!])
  })

  it.each([{ queries: 0 }, { keys: 0 }, { batch: 0 }, { valueWidth: 0 }])(
    'takes tensors without elements: %o',
    (sizes) => {
      expectExact(problemOf(plain(sizes, { sinks: true })), {}, 'output')
    },
  )

  it.skipIf(device.title !== 'wasm, relaxed SIMD, 2 threads')('needs 64 MB at most for 16,384 keys and queries', () => {
    const heap = (): number => (tf.backend() as WasmBackend).wasm.HEAPU8.length
    const x = tf.tensor4d(numbers(16384 * 64), [1, 1, 16384, 64])
    const before = heap()
    const { output, logSumExp } = attend(x, x, x, { window: 128 })
    const grow = (): tf.Tensor =>
      tf.tidy(() => tf.grad((y) => attend(y as tf.Tensor4D, x, x, { window: 128 }).output)(x))
    const dx = grow()
    expect(heap() - before).toBeLessThan(64e6)
    expect(output.size).toBe(x.size)
    tf.dispose([x, output, logSumExp, dx])
  })

  it('leaks nothing', () => {
    const { q, k, v, bias, mask, sinks } = tensorsOf(
      problemOf(plain({}, { bias: [false, false, true, true], mask: [true, false, false, true], sinks: true })),
    )
    const options = { bias: bias!, mask: mask!, sinks: sinks!, causal: true }
    expectNoLeaks(() => Object.values(attend(q, k, v, options)), 300)
    const variables = { q: tf.variable(q), k: tf.variable(k) }
    expectNoLeaks(() => {
      const f = (): { loss: tf.Scalar } => {
        const attended = attend(variables.q as tf.Tensor4D, variables.k as tf.Tensor4D, v, options)
        return { loss: tf.add(tf.sum(attended.output), tf.sum(attended.logSumExp)) }
      }
      const { loss, gradients } = valueAndGradients(variables, f)
      return [loss, ...Object.values(gradients)]
    }, 100)
    tf.dispose([q, k, v, bias!, mask!, sinks!, ...Object.values(variables)])
  })

  it('refuses what does not fit', () => {
    tf.tidy(() => {
      const [q, k, v] = [tf.zeros([1, 4, 3, 8]), tf.zeros([1, 2, 5, 8]), tf.zeros([1, 2, 5, 6])] as tf.Tensor4D[]
      const call =
        (other: AttendOptions): (() => void) =>
        () =>
          attend(q!, k!, v!, other)
      expect(() => attend(q!, tf.zeros([1, 2, 5, 7]), v!)).toThrow(
        /k: expected shape \[1, \?, \?, 8\], got \[1, 2, 5, 7\]/,
      )
      expect(() => attend(q!, tf.zeros([1, 3, 5, 8]), v!)).toThrow(/k: .* divides q's 4/)
      expect(() => attend(q!, k!, tf.zeros([1, 2, 4, 6]))).toThrow(/v: expected shape \[1, 2, 5, \?\]/)
      expect(() => attend(tf.zeros([4, 3, 8]) as unknown as tf.Tensor4D, k!, v!)).toThrow(RangeError)
      expect(() => attend([1] as unknown as tf.Tensor4D, k!, v!)).toThrow(TypeError)
      expect(() => attend(q!, k!, tf.zeros([1, 2, 5, 6], 'int32'))).toThrow(/v: expected float32, got int32/)
      expect(call({ bias: tf.zeros([4, 2, 5]) })).toThrow(/bias: .*\[1, 4, 3, 5\], got \[4, 2, 5\]/)
      expect(call({ mask: tf.zeros([3, 5]) })).toThrow(/mask: expected bool, got float32/)
      expect(call({ sinks: tf.zeros([2]) })).toThrow(/sinks: expected shape \[4\]/)
      expect(call({ window: 0 })).toThrow(/window/)
      expect(call({ window: [1, -1] })).toThrow(/window/)
      expect(call({ softcap: 0 })).toThrow(/softcap/)
      expect(call({ scale: NaN })).toThrow(/scale/)
    })
  })
})

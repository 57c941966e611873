import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { expectClose, expectNoLeaks, numbers } from '../testing.ts'
import { type AttendCase, attendCases, plain, problemOf, tensorsOf } from './attend.cases.ts'
import { attendCached } from './attend-cached.ts'
import { attend } from './attend.ts'
import type { Attended, AttendOptions } from './contract.ts'
import { exactAttention, type ExactProblem } from './exact.ts'

async function expectAttended(got: Attended, problem: ExactProblem, tolerance = 2e-5): Promise<void> {
  const exact = exactAttention(problem)
  expectClose(await got.output.data(), exact.output, tolerance)
  expectClose(await got.logSumExp.data(), exact.logSumExp, tolerance)
  tf.dispose([got.output, got.logSumExp])
}

/** Compares results with the definition. */
async function expectForward(problem: ExactProblem, options: AttendOptions, tolerance?: number): Promise<void> {
  const { q, k, v, ...rest } = tensorsOf(problem)
  await expectAttended(attend(q, k, v, { ...options, ...rest }), problem, tolerance)
  tf.dispose([q, k, v, ...Object.values(rest)])
}

/** Compares results and gradients, towards everything at once, with the definition. */
async function expectExact(problem: ExactProblem, options: AttendCase['options']): Promise<void> {
  await expectForward(problem, options)
  const { mask, ...inputs } = tensorsOf(problem)
  const exact = exactAttention({ ...problem, dLogSumExp: [] })
  const names = Object.keys(inputs) as (keyof typeof inputs)[]
  const f = (...args: tf.Tensor[]): tf.Tensor => {
    const { q, k, v, ...rest } = Object.fromEntries(names.map((name, i) => [name, args[i]!])) as typeof inputs
    return attend(q, k, v, { ...options, ...rest, ...(mask && { mask }) }).output
  }
  const dOutput = tf.tensor(Float32Array.from(problem.dOutput!), [...inputs.q.shape.slice(0, 3), inputs.v.shape[3]])
  const gradients = tf.grads(f)(names.map((name) => inputs[name]!), dOutput) // prettier-ignore
  const expected = { q: exact.dq, k: exact.dk, v: exact.dv, bias: exact.dBias, sinks: exact.dSinks }
  for (const [i, name] of names.entries()) {
    try {
      expect(gradients[i]!.shape).toEqual(inputs[name]!.shape)
      expectClose(await gradients[i]!.data(), expected[name], 5e-5)
    } catch (error) {
      throw new Error(`gradient of ${name}: ${(error as Error).message}`, { cause: error })
    }
  }
  tf.dispose([dOutput, gradients, mask ?? [], ...Object.values(inputs)])
}

/** The cases of the attention kernels that stand for the others, on the current backend. */
export function mainAttentionCases(): void {
  it.each([
    ['square, causal', 70, 70, { causal: true }],
    ['tall, causal: rows that see nothing', 70, 40, { causal: true }],
    ['a window that leaves tiles out on both sides', 100, 100, { window: 7 }],
    ['a window to both sides', 67, 90, { window: [9, 5] as const }],
  ])('goes over several tiles: %s', async (_, queries, keys, options) => {
    const sizes = { heads: 4, groups: 2, queries, keys, width: 17, valueWidth: 36 }
    await expectExact(problemOf(plain(sizes, { options, sinks: true })), options)
  })

  it('decodes over a cache, split over workgroups, and never looks beyond the length', async () => {
    for (const [queries, options, sinks] of [
      [1, {}, false],
      [1, { window: 150, softcap: 2 }, true],
      [5, {}, true],
    ] as const) {
      const problem = problemOf(plain({ batch: 3, heads: 4, groups: 2, queries, keys: 700, width: 8, valueWidth: 12 }, { options, sinks })) // prettier-ignore
      const lengths = Int32Array.of(700, 0, 333)
      const spoil = (x: ArrayLike<number>, width: number): Float32Array =>
        Float32Array.from(x, (value, at) => {
          const row = Math.floor(at / width)
          return row % 700 < lengths[Math.floor(row / 1400)]! ? value : NaN
        })
      const spoiled = { ...problem, k: spoil(problem.k, 8), v: spoil(problem.v, 12) }
      const { q, k, v, ...rest } = tensorsOf(spoiled)
      const lengthsTensor = tf.tensor1d(lengths, 'int32')
      const got = attendCached(q, k, v, lengthsTensor, { ...options, ...rest })
      const window = 'window' in options ? options.window : Infinity
      const sees = (position: number, key: number): boolean => key <= position && key > position - window
      await expectAttended(got, { ...problem, lengths, sees })
      tf.dispose([q, k, v, lengthsTensor, ...Object.values(rest)])
    }
  })
}

/** Cases of XAttend, XAttendGradient and XAttendCached, on the current backend. */
export function attentionCases(): void {
  mainAttentionCases()

  // Each new combination is a program to compile, which a software adapter is slow at.
  it('follows its definition, forwards and backwards', { timeout: 180_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(attendCases, (problem) => expectExact(problemOf(problem), problem.options)),
      { numRuns: 3 },
    )
  })

  it.each([31, 32, 33, 64, 65])('is right at the edge of a tile: %i keys and queries', async (n) => {
    await expectExact(problemOf(plain({ queries: n, keys: n, width: 5 }, { options: { causal: true } })), {
      causal: true,
    })
  })

  it.each([
    [16, 256],
    [256, 16],
  ])('takes heads of %i and values of %i', async (width, valueWidth) => {
    await expectForward(problemOf(plain({ width, valueWidth, queries: 5, keys: 40 })), {})
  })

  it('takes heads of 70 and values of 40 backwards', async () => {
    await expectExact(problemOf(plain({ width: 70, valueWidth: 40, queries: 5, keys: 40 })), {})
  })

  it('reads the latents of absorbed MLA once for all heads: 576 and 512 wide', async () => {
    await expectForward(problemOf(plain({ heads: 16, queries: 1, keys: 150, width: 576, valueWidth: 512 })), {})
  })

  it.each([
    ['one query', 1],
    ['many queries', 33],
  ])('finds the greatest score at every slot of every tile: %s', async (_, queries) => {
    const keys = queries === 1 ? 260 : 70 // two parts of a split, or three tiles
    const problem = problemOf(plain({ heads: 1, queries, keys }))
    for (let slot = 0; slot < keys; slot += queries === 1 ? 3 : 1) {
      const values = new Float32Array(keys)
      values[slot] = 300
      await expectForward({ ...problem, bias: { shape: [1, 1, 1, keys], values } }, {})
    }
  })

  it('bears scores of 10,000', async () => {
    const problem = problemOf(plain({ queries: 40, keys: 40, width: 8 }), 90)
    const { q, k, v } = tensorsOf(problem)
    const { output, logSumExp } = attend(q, k, v)
    const exact = exactAttention(problem)
    expect(Math.max(...exact.logSumExp)).toBeGreaterThan(5000)
    expectClose(await output.data(), exact.output, 2e-2) // such a score is known to 1e-3
    expectClose(await logSumExp.data(), exact.logSumExp)
    tf.dispose([q, k, v, output, logSumExp])
  })

  it('gives nothing, and no gradient, to rows that a bias of -Infinity or a mask hides', async () => {
    const base = problemOf(plain({ queries: 20, keys: 70 }))
    const table = (shown: number, other: number): Float32Array =>
      Float32Array.from({ length: 20 * 70 }, (_, at) =>
        Math.floor(at / 70) % 3 === 0 || at % 70 === 7 ? other : shown,
      )
    const bias = { shape: [1, 1, 20, 70], values: table(0.5, -Infinity) }
    const mask = { shape: [1, 1, 20, 70], values: table(1, 0) }
    await expectExact({ ...base, bias }, {})
    await expectExact(
      { ...base, mask, bias: { shape: [1, 2, 1, 1], values: [0.5, -0.5] }, sinks: [0.3, -Infinity] },
      {},
    )
  })

  it('leaks nothing', () => {
    const { q, k, v, ...rest } = tensorsOf(
      problemOf(
        plain({ keys: 300 }, { bias: [false, false, true, true], mask: [true, false, false, true], sinks: true }),
      ),
    )
    expectNoLeaks(() => Object.values(attend(q, k, v, { ...rest, causal: true })), 5)
    const gradient = tf.grad((x) => tf.sum(attend(q, x as tf.Tensor4D, v, { ...rest, causal: true }).output))
    expectNoLeaks(() => [gradient(k)], 5)
    const cached = tf.tensor4d(numbers(2 * 300 * 4), [1, 2, 300, 4])
    expectNoLeaks(() => Object.values(attendCached(q, cached, cached, 200)), 5)
    tf.dispose([q, k, v, cached, ...Object.values(rest)])
  })
}

import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { numbers } from '../kernels/testing.ts'
import { type Nd, sizeOf } from './nd.ts'
import type { Operand, Operation, Trial } from './operation.ts'

/** What came of an operation's trials on one device. */
interface Verdict {
  /** `limited`: some trials were refused with a clear error, the others are right; `none`: there is nothing to differentiate */
  readonly status: 'ok' | 'limited' | 'refused' | 'wrong' | 'none'
  /** greatest error, relative to the largest expected element */
  readonly error: number
  /** the smallest trial that failed, or why a trial was refused */
  readonly reason?: string
}

/** Forward pass and gradient of one operation. */
export interface Finding {
  readonly forward: Verdict
  readonly gradient: Verdict
}

export interface ExamineOptions {
  /** trials per operation; default: `DIFFERENTIAL_RUNS`, else 10 */
  readonly runs?: number
  /** greatest relative error that is taken for rounding; default 2e-5 */
  readonly tolerance?: number
  /** whether a failing trial is made smaller first; default true */
  readonly shrink?: boolean
}

/** Tries an operation on the current backend against its definition in float64, and its gradient against differences of that. */
export async function examine(operation: Operation, options: ExamineOptions = {}): Promise<Finding> {
  const { tolerance = 2e-5 } = options
  // Its leak check takes what an operation saves for its gradient for a leak; leaks are counted here as well.
  tf.env().set('IS_TEST', false)
  return {
    forward: await tryAll(operation, options, (trial) => forwardError(trial, tolerance)),
    gradient: await tryAll(operation, options, (trial) => gradientError(trial, 5 * tolerance)),
  }
}

/** A trial with what it must give, which is computed once for all devices. */
interface Prepared {
  readonly trial: Trial
  readonly expected: () => readonly Nd[]
  readonly slopes: () => readonly Slopes[]
}

const prepared = new WeakMap<Operation, readonly Prepared[]>()
const seed = 3

function trialsOf(operation: Operation, runs: number): readonly Prepared[] {
  let list = prepared.get(operation)
  if (!list) prepared.set(operation, (list = fc.sample(operation.trials, { numRuns: runs, seed }).map(prepare)))
  return list
}

function prepare(trial: Trial): Prepared {
  let expected: readonly Nd[] | undefined
  let slopes: readonly Slopes[] | undefined
  return {
    trial,
    expected: () => (expected ??= listOf(trial.reference(...trial.operands.map(toNd)))),
    slopes: () => (slopes ??= slopesOf(trial)),
  }
}

type Attempt = (prepared: Prepared) => Promise<number | null>

async function tryAll(
  operation: Operation,
  { runs = Number(process.env['DIFFERENTIAL_RUNS'] ?? 10), shrink = true }: ExamineOptions,
  attempt: Attempt,
): Promise<Verdict> {
  const numRuns = Math.ceil(runs * (operation.effort ?? 1))
  let [error, tried, refused] = [0, 0, 0]
  let refusal = ''
  for (const one of trialsOf(operation, numRuns)) {
    try {
      const found = await attempt(one)
      if (found === null) continue
      error = Math.max(error, found)
    } catch (problem) {
      if (!isRefusal(problem)) {
        const smaller = shrink ? await smallestFailure(operation, numRuns, attempt) : undefined
        return { status: 'wrong', error: NaN, reason: smaller ?? describeFailure(one.trial, problem) }
      }
      refusal = messageOf(problem)
      refused++
    }
    tried++
  }
  if (tried === 0) return { status: 'none', error }
  if (refused === 0) return { status: 'ok', error }
  return { status: refused === tried ? 'refused' : 'limited', error, reason: refusal }
}

/** The simplest trial that fails, which fast-check finds. */
async function smallestFailure(operation: Operation, numRuns: number, attempt: Attempt): Promise<string | undefined> {
  const property = fc.asyncProperty(operation.trials, async (trial) => {
    try {
      await attempt(prepare(trial))
    } catch (problem) {
      if (!isRefusal(problem)) throw new Error(describeFailure(trial, problem), { cause: problem })
    }
  })
  const { errorInstance } = await fc.check(property, { numRuns: 4 * numRuns, seed })
  return errorInstance instanceof Error ? errorInstance.message : undefined
}

/** Errors that say what is not possible, and where. */
function isRefusal(problem: unknown): boolean {
  return /^Cannot find registered kernel '\w+' for backend|gradient function not found for \w+|^\w+: .*\bbackend\b/.test(
    messageOf(problem),
  )
}

function messageOf(problem: unknown): string {
  return problem instanceof Error ? problem.message : String(problem)
}

function describeFailure({ about, operands }: Trial, problem: unknown): string {
  return `${about} of ${operands.map(({ dtype, shape }) => `${dtype} [${shape}]`).join(', ')}: ${messageOf(problem)}`
}

function toNd({ shape, values }: Operand): Nd {
  return { shape, data: values }
}

function toTensor({ shape, dtype, values }: Operand): tf.Tensor {
  const elements = dtype === 'float32' ? Float32Array.from(values) : Int32Array.from(values)
  return tf.tensor(dtype === 'bool' ? Uint8Array.from(values) : elements, [...shape], dtype)
}

function listOf<T>(x: T | readonly T[]): readonly T[] {
  return (Array.isArray(x) ? x : [x]) as readonly T[]
}

/** Runs `f` on tensors of the operands and reads what it gives; throws if it leaves tensors behind. */
async function valuesOf(
  operands: readonly Operand[],
  f: (tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
): Promise<{ shape: number[]; data: ArrayLike<number> }[]> {
  const before = tf.memory().numTensors
  const inputs = operands.map(toTensor)
  let outputs: readonly tf.Tensor[] = []
  const results: { shape: number[]; data: ArrayLike<number> }[] = []
  try {
    outputs = listOf(tf.tidy(() => f(inputs)))
    for (const output of outputs) results.push({ shape: output.shape, data: await output.data() })
    for (const [i, input] of inputs.entries()) {
      const now = await input.data()
      if (!operands[i]!.values.every((x, j) => Object.is(x, now[j]))) throw new Error(`operand ${i} was changed`)
    }
  } finally {
    tf.dispose([...inputs, ...outputs])
  }
  const left = tf.memory().numTensors - before
  if (left !== 0) throw new Error(`${left} tensors left behind`)
  return results
}

async function forwardError({ trial, expected }: Prepared, tolerance: number): Promise<number> {
  const actual = await valuesOf(trial.operands, (tensors) => trial.run(...tensors))
  if (actual.length !== expected().length)
    throw new Error(`expected ${expected().length} results, got ${actual.length}`)
  return Math.max(
    0,
    ...expected().map(({ shape, data }, i) => {
      if (actual[i]!.shape.join() !== shape.join())
        throw new Error(`expected shape [${shape}], got [${actual[i]!.shape}]`)
      return difference(actual[i]!.data, data, tolerance)
    }),
  )
}

/** `null` where no operand is differentiated. */
async function gradientError({ trial, slopes }: Prepared, tolerance: number): Promise<number | null> {
  const expected = slopes()
  if (expected.length === 0) return null
  // With each operand added in, the objective depends on it also where the operation does not.
  const own = trial.operands.map(({ values }, i) => numbers(values.length, 101 + i))
  const actual = await valuesOf(trial.operands, (tensors) => {
    const objective = (...watched: tf.Tensor[]): tf.Scalar => {
      const all = tensors.map((tensor, i) => watched[expected.findIndex(({ operand }) => operand === i)] ?? tensor)
      const parts = listOf(trial.run(...all)).map((result, i) =>
        weigh(tf.cast(result, 'float32'), weightsOf(result.size, i)),
      )
      const direct = watched.map((x, i) => weigh(x, own[expected[i]!.operand]!))
      return tf.addN([...parts, ...direct]) as tf.Scalar
    }
    return tf.grads(objective)(expected.map(({ operand }) => tensors[operand]!))
  })
  return Math.max(
    0,
    ...expected.map(({ operand, elements, slopes }, i) => {
      if (actual[i]!.shape.join() !== trial.operands[operand]!.shape.join())
        throw new Error(`gradient of operand ${operand} has shape [${actual[i]!.shape}]`)
      const found = elements.map((element) => actual[i]!.data[element]! - own[operand]![element]!)
      try {
        return difference(found, slopes, tolerance)
      } catch (error) {
        throw new Error(`gradient of operand ${operand} at elements ${elements}: ${messageOf(error)}`, { cause: error })
      }
    }),
  )
}

/** The sum of a tensor's elements, each times its weight; over one axis, so that nothing but the operation is tried. */
function weigh(x: tf.Tensor, weights: Float32Array): tf.Tensor {
  const flat = tf.reshape(x, [x.size])
  // Sums of nothing are an operation that is tried by itself.
  if (x.size === 0) return tf.sum(tf.pad(flat, [[0, 1]]))
  return tf.sum(tf.mul(flat, tf.tensor1d(weights)))
}

/** With which a result's elements are weighted in the objective. */
function weightsOf(size: number, result: number): Float32Array {
  return numbers(size, 11 + result)
}

/** Derivatives of the weighted sum of the definition's results towards some elements of an operand. */
interface Slopes {
  readonly operand: number
  readonly elements: readonly number[]
  readonly slopes: readonly number[]
}

/** Central differences towards every operand that is differentiated; elements at kinks are left out. */
function slopesOf(trial: Trial): Slopes[] {
  const step = 1e-4
  const arrays = trial.operands.map(toNd)
  const valueOf = (all: readonly Nd[]): number =>
    listOf(trial.reference(...all)).reduce((sum, { data }, i) => {
      const weights = weightsOf(data.length, i)
      return sum + data.reduce((s, y, j) => s + y * weights[j]!, 0)
    }, 0)
  let here: number | undefined
  return trial.operands.flatMap(({ dtype, shape, differentiate = true }, operand) => {
    if (!differentiate || dtype !== 'float32') return []
    const { data } = arrays[operand]!
    const at = (element: number, offset: number): number =>
      valueOf(arrays.with(operand, { shape, data: data.with(element, data[element]! + offset) }))
    here ??= valueOf(arrays)
    const elements: number[] = []
    const slopes: number[] = []
    const stride = Math.max(1, Math.floor(sizeOf(shape) / 6))
    for (let element = 0; element < data.length; element += stride) {
      const [before, after] = [at(element, -step), at(element, step)]
      const [left, right] = [(here - before) / step, (after - here) / step]
      if (!(Math.abs(left - right) <= 2e-2 * Math.max(1, Math.abs(left)))) continue
      elements.push(element)
      slopes.push((after - before) / (2 * step))
    }
    return [{ operand, elements, slopes }]
  })
}

/** The greatest difference relative to the largest expected element (or to 1); throws where it is too great. */
function difference(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): number {
  let [size, greatest] = [1, 0]
  for (let i = 0; i < expected.length; i++)
    if (Number.isFinite(expected[i])) size = Math.max(size, Math.abs(expected[i]!))
  if (actual.length !== expected.length) throw new Error(`expected ${expected.length} elements, got ${actual.length}`)
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], Math.fround(expected[i]!))) continue // NaN and infinities
    const error = Math.abs(actual[i]! - expected[i]!) / size
    if (!(error <= tolerance)) throw new Error(`element ${i}: expected ${expected[i]}, got ${actual[i]}`)
    greatest = Math.max(greatest, error)
  }
  return greatest
}

import * as tf from '@tensorflow/tfjs-core'
import { answerRounds } from '../../interleave.ts'
import { openBackend } from '../../open-backend.ts'
import type { Size } from './define-kernel-task.ts'
import { uniformNumbers } from '../../statistics.ts'
import { graphicsCard } from './graphics-card.ts'
import { peakDuring } from './memory.ts'
import { type Call, type Draw, loadOperation } from './operations.ts'

/** What a rival is told; PyTorch's side is told the same, with `device` in place of `backend` and `kernels`. */
export interface KernelAssignment {
  readonly operation: string
  readonly method: string
  readonly params: Size
  readonly backend: string
  readonly kernels: 'own' | 'stock'
  readonly threads: number
  /** how long a round shall last at least, in milliseconds */
  readonly roundMilliseconds: number
}

/** Rows of the square matrices whose product is the backend's peak, where it is not 1024. */
const peakRows: Readonly<Record<string, number>> = { cpu: 192, webgpu: 4096 }
/** Numbers copied to measure the rate of copying: more than the processor's caches hold, or the graphics card's. */
const copied = { processor: 2 ** 23, card: 2 ** 25 }
/** Copies on a graphics card that are timed together: one alone is soon done. */
const cardCopies = 20
const mostRepeats = 5000

const assignment = JSON.parse(process.argv[2] ?? '{}') as KernelAssignment
const { operation, method, params, backend, kernels, threads, roundMilliseconds } = assignment
const device = await openBackend(backend, { kernels, threads })

const card = backend === 'webgpu' ? graphicsCard() : undefined

const uniform = uniformNumbers(1)
const draw: Draw = (...shape) => {
  const values = new Float32Array(tf.util.sizeFromShape(shape))
  for (let i = 0; i < values.length; i++) values[i] = uniform() * 2 - 1
  const x = tf.tensor(values, shape)
  card?.upload(x)
  return x
}

/** Calls so many times and waits for the end of the last one. */
async function callTimes(call: Call, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    // Most operations are done when they return: to wait for nothing would take longer than a small one.
    const answer = call()
    const made = [answer instanceof Promise ? await answer : answer].flat()
    for (const tensor of made) tensor.dispose()
  }
  if (card) await card.settle()
}

async function time(call: Call, times: number): Promise<number> {
  const begun = performance.now()
  await callTimes(call, times)
  return (performance.now() - begun) / times
}

/** How many calls fill a round. One alone does not tell: on a graphics card most of its time is the wait for its end. */
async function countRepeats(call: Call): Promise<{ repeats: number; ms: number }> {
  for (let repeats = 1; ;) {
    const ms = await time(call, repeats)
    if (repeats === mostRepeats || ms * repeats >= roundMilliseconds) return { repeats, ms }
    repeats = Math.min(mostRepeats, Math.max(2 * repeats, Math.ceil(roundMilliseconds / ms)))
  }
}

const prepare = await loadOperation(operation)
// What is set up or compiled at the first calls is not the operation's memory.
const small = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, Math.min(value, 8)]))
await callTimes(prepare(method, small, draw), 3)
const call = prepare(method, params, draw)
const first = (): Promise<void> => callTimes(call, 1)
const memory = await (card ? card.peakDuring(first) : peakDuring(first))

const rows = peakRows[backend] ?? 1024
let squares: [tf.Tensor, tf.Tensor] | undefined
let source: Float32Array | undefined
let target: Float32Array | undefined
let repeats = 0
await answerRounds(
  {
    ...device.describe(),
    memory,
    peakFlops: 2 * rows ** 3,
    copiedBytes: 2 * 4 * (card ? copied.card : copied.processor),
  },
  async () => {
    if (repeats > 0) return time(call, repeats)
    const counted = await countRepeats(call)
    repeats = counted.repeats
    return counted.ms
  },
  {
    // The largest matrix product, the measure of what the backend can do.
    peak: async () => {
      squares ??= [draw(rows, rows), draw(rows, rows)]
      const [a, b] = squares
      return time(() => tf.matMul(a, b), 1)
    },
    // One thread's copying of memory, or the graphics card's: the measure for what computes little.
    copy: () => {
      if (card) return card.copy(4 * copied.card, cardCopies)
      source ??= new Float32Array(copied.processor).fill(1)
      target ??= new Float32Array(copied.processor)
      const begun = performance.now()
      target.set(source)
      return performance.now() - begun
    },
  },
)
// Thread pools of a backend must not keep the process alive.
process.exit(0)

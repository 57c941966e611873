import * as tf from '@tensorflow/tfjs-core'
import { decodeSafetensors, encodeSafetensors } from '../checkpoint/safetensors.ts'
import type { Method } from '../method/define-method.ts'
import type { Module } from '../module/module.ts'
import { type Key, key } from '../random/key.ts'

/** One thing that a method must do; a test framework runs it under its name. */
export interface ConformanceCheck {
  readonly name: string
  /** Rejects with an explanation when the method does not conform. */
  run(): Promise<void>
}

/** How the suite can try a method out. */
export interface ConformanceExample<Options, Made extends Module> {
  /** valid and small; the suite makes the method from them under a key of its own */
  options(key: Key): Options
  /** for each option, values that must be refused by an error that begins with the option's name */
  readonly badOptions: Readonly<Record<string, readonly unknown[]>>
  /** the method at work on an input drawn from `key`; all tensors it hands over */
  call(made: Made, key: Key): Record<string, tf.Tensor>
}

/**
 * What every method of every family must do: describe itself, refuse bad options by name, be determined by its key,
 * survive a round trip through its saved state, and leave no tensor behind.
 */
export function conformance<Options, Made extends Module>(
  method: Method<Options, Made>,
  example: ConformanceExample<NoInfer<Options>, NoInfer<Made>>,
): ConformanceCheck[] {
  const make = (seed: number): Made => method(example.options(key(seed)))
  const check = (name: string, run: () => Promise<void>): ConformanceCheck => ({ name: `${method.id} ${name}`, run })
  return [
    check('describes itself', async () => {
      const { id, title, summary, paper } = method
      demand(/^[a-z0-9-]+\/[a-z0-9-]+$/.test(id), `id: expected family/name, got "${id}"`)
      demand(title.length > 0 && summary.endsWith('.'), 'title and summary: expected a name and a sentence')
      demand(/^\d{4}\.\d{4,5}$/.test(paper.arxiv), `paper.arxiv: expected an arXiv id, got "${paper.arxiv}"`)
      // An arXiv id begins with the year and month of its first version.
      demand(paper.year === 2000 + Number(paper.arxiv.slice(0, 2)), `paper.year: ${paper.year} is not that of the id`)
    }),
    check('refuses bad options by name', async () => {
      const before = tf.memory().numTensors
      for (const [name, values] of Object.entries(example.badOptions)) {
        for (const value of values) expectRefusal(name, () => method({ ...example.options(key(0)), [name]: value }))
      }
      expectRefusal('noSuchOption', () => method({ ...example.options(key(0)), noSuchOption: 1 }))
      demand(tf.memory().numTensors === before, 'a refused call left tensors behind')
    }),
    check('leaves no tensor behind', async () => {
      const before = tf.memory().numTensors
      const made = make(1)
      const kept = tf.memory().numTensors
      tf.dispose(example.call(made, key(2)))
      const after = tf.memory().numTensors
      made.dispose()
      demand(after === kept, `a call left ${after - kept} tensors behind`)
      demand(tf.memory().numTensors === before, `${tf.memory().numTensors - before} tensors outlived dispose()`)
    }),
    check('is determined by its key', async () => {
      const [a, b] = [make(3), make(3)]
      await expectSame('state', a.state(), b.state())
      const [first, second] = [example.call(a, key(4)), example.call(b, key(4))]
      await expectSame('result', first, second)
      tf.dispose([first, second])
      a.dispose()
      b.dispose()
    }),
    check('survives a round trip through its saved state', async () => {
      const [saved, fresh] = [make(5), make(6)]
      tf.dispose(example.call(saved, key(7)))
      const { tensors } = decodeSafetensors(await encodeSafetensors(saved.state()))
      fresh.load(tensors)
      await expectSame('state', fresh.state(), saved.state())
      const [first, second] = [example.call(saved, key(8)), example.call(fresh, key(8))]
      await expectSame('result', first, second)
      tf.dispose([tensors, first, second])
      saved.dispose()
      fresh.dispose()
    }),
    check('refuses a state that is not its own', async () => {
      const made = make(9)
      const before = await snapshot(made.state())
      const stranger = tf.zeros([1])
      expectRefusal('state', () => made.load({ ...made.state(), 'no.such.entry': stranger }))
      for (const name of Object.keys(made.state())) {
        const { [name]: dropped, ...rest } = made.state()
        expectRefusal('state', () => made.load(rest))
        const reshaped = tf.zeros([...dropped!.shape, 2])
        expectRefusal('state', () => made.load({ ...rest, [name]: reshaped }))
        reshaped.dispose()
      }
      const after = await snapshot(made.state())
      demand(JSON.stringify(after) === JSON.stringify(before), 'a refused state was written in part')
      stranger.dispose()
      made.dispose()
    }),
  ]
}

/** @throws Error with the explanation unless the condition holds */
export function demand(condition: boolean, explanation: string): asserts condition {
  if (!condition) throw new Error(explanation)
}

/** @throws Error unless the call throws a TypeError or RangeError whose message begins with the argument's name */
export function expectRefusal(argument: string, call: () => unknown): void {
  try {
    call()
  } catch (error) {
    const refused = error instanceof TypeError || error instanceof RangeError
    demand(
      refused && error.message.startsWith(argument),
      `expected a refusal naming "${argument}", got: ${String(error)}`,
    )
    return
  }
  throw new Error(`expected "${argument}" to be refused`)
}

/** @throws Error naming the first entry whose bits differ */
export async function expectSame(
  name: string,
  a: Record<string, tf.Tensor>,
  b: Record<string, tf.Tensor>,
): Promise<void> {
  const [left, right] = [await snapshot(a), await snapshot(b)]
  for (const entry of new Set([...Object.keys(left), ...Object.keys(right)]))
    demand(JSON.stringify(left[entry]) === JSON.stringify(right[entry]), `${name}: "${entry}" differs`)
}

async function snapshot(tensors: Record<string, tf.Tensor>): Promise<Record<string, unknown>> {
  const entries = Object.entries(tensors).map(async ([name, tensor]) => [
    name,
    { shape: tensor.shape, dtype: tensor.dtype, values: Array.from(await tensor.data()) },
  ])
  return Object.fromEntries(await Promise.all(entries)) as Record<string, unknown>
}

import * as tf from '@tensorflow/tfjs-core'
import { key, type Key, type Method, valueAndGradients } from '@x/core-gpu'
import { checkGradients, conformance, type ConformanceCheck, demand, expectRefusal } from '@x/core-gpu/testing'
import type { Attention, AttentionOptions } from '../attention.ts'
import type { KvCache } from '../caches/cache.ts'

/** How the suite can try an attention out. */
export interface AttentionExample<Options> {
  /** valid and small, and causal: some 8 dimensions and 2 to 4 heads */
  options(key: Key): Options
  /** for each option, values that must be refused by an error that begins with the option's name */
  readonly badOptions: Readonly<Record<string, readonly unknown[]>>
  /** elements of a cache for each token, by the paper's own count */
  readonly elementsPerToken: number
  /** whether scores depend on differences of positions alone, so that a shift of all changes nothing; default true */
  readonly relative?: boolean
  /** what a call needs beside its tokens, such as values of a first layer; its tensors are disposed by the suite */
  extra?(attention: Attention, x: tf.Tensor3D): Pick<AttentionOptions, 'firstValues'>
  /** greatest difference, relative to 1 + the value, of ways that must agree; default 1e-5, five times it on webgpu */
  readonly tolerance?: number
}

const [batch, length] = [2, 6]

/**
 * What every attention must do beside what every method must: keep the shape, let nothing see what is later, give the same
 * through a cache however the sequence is cut, keep caches apart, honour masks, give every parameter a right gradient, and
 * refuse bad input by name.
 */
export function attentionConformance<Options, Made extends Attention>(
  method: Method<Options, Made>,
  example: AttentionExample<NoInfer<Options>>,
): ConformanceCheck[] {
  const make = (seed: number): Made => method(example.options(key(seed)))
  const { relative = true } = example
  const extra = (attention: Attention, x: tf.Tensor3D): Pick<AttentionOptions, 'firstValues'> =>
    example.extra?.(attention, x) ?? {}
  const run = (attention: Attention, x: tf.Tensor3D, options: AttentionOptions = {}): tf.Tensor3D => {
    const more = extra(attention, x)
    const y = attention.forward(x, { ...options, ...more })
    tf.dispose({ ...more })
    return y
  }
  const tolerance = (): number => (example.tolerance ?? 1e-5) * (tf.getBackend() === 'webgpu' ? 5 : 1)
  const same = (name: string, a: tf.Tensor, b: tf.Tensor): Promise<void> => expectClose(name, a, b, tolerance())
  const tokens = (attention: Attention, seed: number, count = length): tf.Tensor3D =>
    key(seed).normal<tf.Rank.R3>([batch, count, attention.dim])
  const check = (name: string, body: (attention: Made) => void | Promise<void>): ConformanceCheck => ({
    name: `${method.id} ${name}`,
    run: async () => {
      const before = tf.memory().numTensors
      const attention = make(1)
      await body(attention)
      attention.dispose()
      demand(tf.memory().numTensors === before, `${tf.memory().numTensors - before} tensors were left behind`)
    },
  })
  /** A sequence through a cache, cut into chunks. */
  const inChunks = (attention: Attention, x: tf.Tensor3D, chunks: readonly number[], cache: KvCache): tf.Tensor3D =>
    tf.tidy(() => {
      let from = 0
      const outputs = chunks.map((count) => {
        const part = tf.slice(x, [0, from, 0], [-1, count, -1])
        from += count
        return run(attention, part, { cache })
      })
      return tf.concat(outputs, 1)
    })

  return [
    ...conformance(method, {
      ...example,
      call: (attention, from) => {
        const x = from.normal<tf.Rank.R3>([batch, length, attention.dim])
        const y = run(attention, x, { training: true, key: from.fold(1) })
        x.dispose()
        return { y }
      },
    }),
    check('keeps the shape, for one token and for many', async (attention) => {
      for (const count of [1, 2, 7]) {
        const x = tokens(attention, 2, count)
        const y = run(attention, x)
        demand(tf.util.arraysEqual(y.shape, x.shape), `y: shape [${y.shape}] for [${x.shape}]`)
        demand((await y.data()).every(Number.isFinite), 'y is not finite')
        tf.dispose([x, y])
      }
    }),
    check('lets no token see a later one, or another sequence', async (attention) => {
      const x = tokens(attention, 3)
      const y = run(attention, x)
      for (const at of slow() ? [2] : Array.from({ length: length - 1 }, (_, i) => i + 1)) {
        // The other sequence, and this one's tokens from here on, are others.
        const other = tf.tidy(() => {
          const replaced = key(4).normal<tf.Rank.R3>([batch, length, attention.dim])
          const kept = tf.slice(x, [0, 0, 0], [1, at, -1])
          const rest = tf.slice(replaced, [0, at, 0], [1, -1, -1])
          return tf.concat([tf.concat([kept, rest], 1), tf.slice(replaced, [1, 0, 0], [1, -1, -1])], 0)
        })
        const z = run(attention, other)
        const [a, b] = [y, z].map((t) => tf.slice(t, [0, 0, 0], [1, at, -1])) as [tf.Tensor, tf.Tensor]
        await same(`the first ${at} outputs`, a, b)
        tf.dispose([other, z, a, b])
      }
      tf.dispose([x, y])
    }),
    check('gives through a cache what it gives at once, however the sequence is cut', async (attention) => {
      const x = tokens(attention, 5)
      const y = run(attention, x)
      const cuts = Array.from({ length: length - 1 }, (_, at) => [at + 1, length - at - 1])
      const others = slow() ? [] : [Array.from({ length }, () => 1), [length], [2, 2, 2], ...cuts]
      for (const chunks of [[1, 3, 2], ...others]) {
        const cache = attention.createCache({ batch, capacity: length + 2 })
        const z = inChunks(attention, x, chunks, cache)
        await same(`outputs in chunks of ${chunks.join(', ')}`, z, y)
        demand(cache.lengths.every((n) => n === length), `lengths: got ${cache.lengths.join(', ')}`) // prettier-ignore
        z.dispose()
        cache.dispose()
      }
      tf.dispose([x, y])
    }),
    check('forgets what is truncated, and keeps forks apart', async (attention) => {
      const [x, draft] = [tokens(attention, 6), tokens(attention, 7)]
      const y = run(attention, x)
      const cache = attention.createCache({ batch, capacity: length })
      const [first, second] = tf.split(x, [3, length - 3], 1) as [tf.Tensor3D, tf.Tensor3D]
      const refused = tf.slice(draft, [0, 0, 0], [-1, 2, -1])
      const ys = tf.split(y, [3, length - 3], 1) as [tf.Tensor3D, tf.Tensor3D]
      tf.dispose([run(attention, first, { cache }), run(attention, refused, { cache })])
      const fork = cache.fork()
      cache.truncate(3)
      const straight = run(attention, second, { cache })
      await same('outputs after a refused draft', straight, ys[1])
      fork.truncate(3)
      const again = run(attention, second, { cache: fork })
      await same('outputs of a fork', again, ys[1])
      // Sequences that go on from lengths of their own.
      cache.truncate([2, 3])
      const token = tf.tidy(() => tf.stack([tf.slice(x, [0, 2, 0], [1, 1, -1]), tf.slice(x, [1, 3, 0], [1, 1, -1])].map((t) => tf.squeeze(t, [0])))) as tf.Tensor3D // prettier-ignore
      const more = tf.tidy(() => run(attention, token, { cache }))
      const wanted = tf.tidy(() => tf.concat([tf.slice(y, [0, 2, 0], [1, 1, -1]), tf.slice(y, [1, 3, 0], [1, 1, -1])], 0)) // prettier-ignore
      await same('outputs of sequences of different lengths', more, wanted)
      demand(cache.lengths.join() === '3,4', `lengths: got ${cache.lengths.join()}, expected 3,4`)
      tf.dispose([x, draft, y, first, second, refused, ys, straight, again, token, more, wanted])
      cache.dispose()
      fork.dispose()
    }),
    check('has a cache of the size that is published', (attention) => {
      const before = tf.memory().numBytes
      const cache = attention.createCache({ batch: 3, capacity: 7 })
      const bytes = tf.memory().numBytes - before
      demand(cache.bytes === bytes, `bytes: ${cache.bytes}, and ${bytes} are in use`)
      const perToken = bytes / (3 * 7 * 4)
      demand(perToken === example.elementsPerToken, `${perToken} elements for a token, expected ${example.elementsPerToken}`) // prettier-ignore
      cache.dispose()
    }),
    check('honours a mask and a bias', async (attention) => {
      const x = tokens(attention, 8)
      const plain = run(attention, x)
      const all = tf.ones([length, length])
      const open = run(attention, x, { mask: all })
      await same('outputs under an open mask', open, plain)
      // Without its first token a sequence is another; hidden from the rest, it might as well be anything.
      const values = Array.from({ length: length * length }, (_, at) => Number(at % length > 0 || at < length))
      const hides = tf.tensor2d(values, [length, length])
      const changed = tf.tidy(() => tf.concat([tf.slice(tokens(attention, 9), [0, 0, 0], [-1, 1, -1]), tf.slice(x, [0, 1, 0], [-1, -1, -1])], 1)) // prettier-ignore
      const [a, b] = [x, changed].map((input) => run(attention, input, { mask: hides })) as [tf.Tensor, tf.Tensor]
      const [restA, restB] = [a, b].map((t) => tf.slice(t, [0, 1, 0], [-1, -1, -1])) as [tf.Tensor, tf.Tensor]
      await same('outputs that do not see the first token', restA, restB)
      const bias = tf.tidy(() => tf.where(tf.cast(hides, 'bool'), 0, -Infinity))
      const biased = run(attention, x, { bias })
      await same('outputs under a bias of -Infinity', biased, a)
      const cache = attention.createCache({ batch, capacity: length + 1 })
      const cached = run(attention, x, { mask: hides, cache })
      await same('outputs under a mask, through a cache', cached, a)
      tf.dispose([x, plain, all, open, hides, changed, a, b, restA, restB, bias, biased, cached])
      cache.dispose()
    }),
    check('gives a token that sees nothing its own projection of nothing', async (attention) => {
      const x = tokens(attention, 10)
      const mask = tf.zeros([length, length])
      const y = run(attention, x, { mask })
      const values = await y.data()
      demand(values.every(Number.isFinite), 'an output that sees nothing is not finite')
      const row = values.slice(0, attention.dim)
      demand(values.every((value, at) => Math.abs(value - row[at % attention.dim]!) < 1e-6), 'outputs that see nothing differ') // prettier-ignore
      tf.dispose([x, mask, y])
    }),
    ...(relative
      ? [
          check('does not change when all positions shift', async (attention) => {
            const x = tokens(attention, 11)
            const at = (start: number): tf.Tensor3D =>
              run(attention, x, { positions: Array.from({ length }, (_, i) => start + i) })
            const [near, far] = [at(0), at(2 ** 40)]
            await same('outputs at position 2^40', far, near)
            tf.dispose([x, near, far])
          }),
        ]
      : []),
    check('gives tokens and every parameter the gradients of finite differences', async (attention) => {
      const x = tokens(attention, 12, 4)
      const options = { training: true, key: key(13) }
      const more = extra(attention, x)
      const parameters = attention.parameters()
      const { loss, gradients } = valueAndGradients(parameters, () => ({
        loss: tf.sum(tf.square(attention.forward(x, { ...options, ...more }))),
      }))
      for (const name of Object.keys(parameters)) {
        const values = await gradients[name]?.data()
        demand(values !== undefined && values.some((value) => value !== 0), `parameter "${name}" gets no gradient`)
      }
      const forward = (input: tf.Tensor3D): tf.Tensor3D => attention.forward(input, { ...options, ...more })
      // Every element is four more passes.
      if (slow()) {
        await checkTogether(() => tf.sum(tf.square(forward(x))), parameters, gradients)
        await checkGradients((inputs) => forward((inputs as { x: tf.Tensor3D }).x), { x }, { elements: 1, tolerance: 4e-3 }) // prettier-ignore
      } else
        await checkGradients(
          (inputs) => forward((inputs as { x: tf.Tensor3D }).x),
          { x, ...parameters },
          { elements: 3, tolerance: 4e-3 },
        )
      tf.dispose([loss, gradients])
      tf.dispose([x, { ...more }])
    }),
    check('refuses bad input by name, and leaves the cache as it was', (attention) => {
      const x = tokens(attention, 14, 3)
      const bad = {
        narrow: tf.zeros([batch, 3, attention.dim + 1]) as tf.Tensor3D,
        flat: tf.zeros([3, attention.dim]) as unknown as tf.Tensor3D,
        none: tf.zeros([batch, 0, attention.dim]) as tf.Tensor3D,
        whole: tf.zeros([batch, 3, attention.dim], 'int32') as tf.Tensor3D,
        mask: tf.ones([2, 3]),
        table: tf.ones([batch + 1, 3, 3]),
      }
      const refuse = (name: string, input: tf.Tensor3D, options: AttentionOptions = {}): void => {
        const more = extra(attention, x)
        expectRefusal(name, () => attention.forward(input, { ...options, ...more }))
        tf.dispose({ ...more })
      }
      for (const name of ['narrow', 'flat', 'none', 'whole'] as const) refuse('x', bad[name])
      refuse('x', [1, 2] as unknown as tf.Tensor3D)
      refuse('mask', x, { mask: bad.mask })
      refuse('mask', x, { mask: bad.table })
      refuse('bias', x, { bias: bad.mask })
      refuse('positions', x, { positions: [0, 1] })
      if (relative) refuse('positions', x, { positions: [0, 1, 0.5] })
      const small = attention.createCache({ batch, capacity: 2 })
      const other = attention.createCache({ batch: batch + 1, capacity: 4 })
      const cache = attention.createCache({ batch, capacity: 4 })
      refuse('cache', x, { cache: small })
      refuse('cache', x, { cache: other })
      refuse('cache', x, { cache: {} as KvCache })
      refuse('cache', x, { cache, training: true })
      refuse('mask', x, { cache, mask: bad.mask })
      demand(cache.lengths.every((n) => n === 0), 'a refused call was appended') // prettier-ignore
      expectRefusal('lengths', () => cache.truncate(1))
      expectRefusal('batch', () => attention.createCache({ batch: 0, capacity: 1 }))
      expectRefusal('capacity', () => attention.createCache({ batch: 1, capacity: 1.5 }))
      expectRefusal('tokens', () => cache.append({}))
      for (const each of [small, other, cache]) each.dispose()
      tf.dispose([x, bad])
    }),
  ]
}

/** Whether this may be a software adapter, which is slow at every program: there fewer cuts are tried, and parameters move together. */
function slow(): boolean {
  return tf.getBackend() === 'webgpu'
}

/** Compares the slope of a loss along a random direction of all parameters with its difference quotient. */
async function checkTogether(
  loss: () => tf.Scalar,
  parameters: Readonly<Record<string, tf.Variable>>,
  gradients: Readonly<Record<string, tf.Tensor>>,
): Promise<void> {
  const names = Object.keys(parameters)
  const keys = key(17).split(names.length)
  const start = names.map((name) => tf.clone(parameters[name]!))
  const directions = names.map((name, i) => keys[i]!.normal(parameters[name]!.shape))
  const at = async (step: number): Promise<number> => {
    const moved = tf.tidy(() => {
      names.forEach((name, i) => parameters[name]!.assign(tf.add(start[i]!, tf.mul(step, directions[i]!))))
      return loss()
    })
    const [value] = await moved.data()
    moved.dispose()
    return value!
  }
  const step = 2 ** -8
  const slope =
    (8 * ((await at(step)) - (await at(-step))) - ((await at(2 * step)) - (await at(-2 * step)))) / (12 * step)
  names.forEach((name, i) => parameters[name]!.assign(start[i]!))
  const along = tf.tidy(() => tf.addN(names.map((name, i) => tf.sum(tf.mul(gradients[name]!, directions[i]!)))))
  const [wanted] = await along.data()
  tf.dispose([start, directions, along])
  demand(
    Math.abs(wanted! - slope) <= 1e-2 * (1 + Math.abs(slope)),
    `parameters: the gradient gives a slope of ${wanted}, differences ${slope}`,
  )
}

async function expectClose(name: string, got: tf.Tensor, wanted: tf.Tensor, tolerance: number): Promise<void> {
  demand(tf.util.arraysEqual(got.shape, wanted.shape), `${name}: shape [${got.shape}], expected [${wanted.shape}]`)
  const [a, b] = [await got.data(), await wanted.data()]
  b.forEach((value, i) =>
    demand(
      Math.abs(a[i]! - value) <= tolerance * (1 + Math.abs(value)),
      `${name}: got ${a[i]} at ${i}, expected ${value}`,
    ),
  )
}

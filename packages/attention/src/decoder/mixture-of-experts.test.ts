import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients, countLeaks } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { MixtureOfExperts, type MixtureOfExpertsOptions } from '../index.ts'

type Options = Omit<MixtureOfExpertsOptions, 'dim' | 'hiddenDim' | 'key'>

const make = (options: Options, seed = 1): MixtureOfExperts =>
  new MixtureOfExperts({ dim: 4, hiddenDim: 5, key: key(seed), ...options })

const kinds: Record<string, Options> = {
  plain: { experts: 5, chosen: 2 },
  'V2, in groups': { experts: 6, chosen: 2, shared: 1, groups: 3, chosenGroups: 2, scale: 4 },
  'V3, in groups': { experts: 6, chosen: 3, shared: 2, scoring: 'sigmoid', groups: 3, chosenGroups: 2, normalise: true, scale: 2.5 }, // prettier-ignore
}

/** The sum over experts, by each token's scores in double precision. */
function expected(moe: MixtureOfExperts, options: Options, rows: tf.Tensor2D): number[][] {
  const { experts, chosen, scoring = 'softmax', groups = 1, chosenGroups = groups, normalise, scale = 1 } = options
  const raw = moe.router.forward(rows).arraySync() as number[][]
  const bias = moe.bias ? (moe.bias.arraySync() as number[]) : Array<number>(experts).fill(0)
  const outputs = moe.experts.map((expert) => expert.forward(rows).arraySync() as number[][])
  const shared = moe.shared?.forward(rows).arraySync() as number[][] | undefined
  const each = experts / groups
  const descending = (values: readonly number[]): number[] =>
    Array.from(values.keys()).toSorted((a, b) => values[b]! - values[a]!)
  return raw.map((logits, row) => {
    const grown = logits.map((x) => (scoring === 'softmax' ? Math.exp(x) : 1 / (1 + Math.exp(-x))))
    const total = scoring === 'softmax' ? grown.reduce((a, b) => a + b) : 1
    const scores = grown.map((score) => score / total)
    const biased = scores.map((score, i) => score + bias[i]!)
    const standing = Array.from({ length: groups }, (_, g) => {
      const best = biased.slice(g * each, (g + 1) * each).toSorted((a, b) => b - a)
      return scoring === 'softmax' ? best[0]! : best[0]! + (best[1] ?? 0)
    })
    const open = new Set(descending(standing).slice(0, chosenGroups))
    const picks = descending(biased)
      .filter((expert) => open.has(Math.floor(expert / each)))
      .slice(0, chosen)
    const sum = normalise ? picks.reduce((so, pick) => so + scores[pick]!, 0) : 1
    return Array.from({ length: 4 }, (_, d) =>
      picks.reduce((so, pick) => so + (scale * scores[pick]! * outputs[pick]![row]![d]!) / sum, shared?.[row]![d] ?? 0),
    )
  })
}

describe.each(['cpu', 'wasm'] as const)('a mixture of experts on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(Object.entries(kinds))('%s: is the sum of the chosen, whatever the tokens', (_, options) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.nat(1000), (count, seed) => {
        tf.tidy(() => {
          const moe = make(options, seed)
          moe.bias?.assign(tf.mul(0.3, key(seed).normal([options.experts])))
          const rows = tf.mul(2, key(seed + 1).normal([count, 4])) as tf.Tensor2D
          const [got, wanted] = [moe.forward(rows).arraySync() as number[][], expected(moe, options, rows)]
          wanted.flat().forEach((value, i) => expect(Math.abs(got.flat()[i]! - value)).toBeLessThan(1e-4))
          moe.dispose()
        })
      }),
      { numRuns: 12 },
    )
  })

  it.each(Object.entries(kinds))('%s: gradients by finite differences', async (_, options) => {
    const moe = make(options)
    const run = ({ x }: { x: tf.Tensor }): tf.Tensor => moe.forward(x)
    await checkGradients(run, { x: key(3).normal([2, 3, 4]) }, { step: 2 ** -8, tolerance: 5e-3 })
    const trained = moe.parameters()
    const gradients = tf.variableGrads(() => tf.sum(moe.forward(key(3).normal([2, 3, 4]))) as tf.Scalar, Object.values(trained)) // prettier-ignore
    expect(Object.values(gradients.grads)).toHaveLength(Object.keys(trained).length)
    expect(Object.keys(trained)).not.toContain('bias')
    expect(Object.keys(trained)).toContain('router.weight')
    moe.dispose()
  })

  it('leaks nothing, keeps its shape, goes through its state', async () => {
    const moe = make(kinds['V3, in groups']!)
    const x = key(4).normal([2, 3, 4])
    expect(await countLeaks(() => moe.forward(x))).toBe(0)
    const other = make(kinds['V3, in groups']!, 9)
    other.load(moe.state())
    expect(other.forward(x).arraySync()).toEqual(moe.forward(x).arraySync())
    expect(Object.keys(moe.state())).toContain('bias')
    for (const each of [moe, other]) each.dispose()
  })
})

it('bad options are refused by name', () => {
  const good: Options = { experts: 6, chosen: 2 }
  const bad: [Partial<Options>, RegExp][] = [
    [{ experts: 0 }, /^experts: /],
    [{ chosen: 7 }, /^chosen: expected at most the 6 experts of the groups, got 7/],
    [{ groups: 4 }, /^groups: expected a divisor of 6 experts, got 4/],
    [{ groups: 3, chosenGroups: 4 }, /^chosenGroups: expected at most 3 groups, got 4/],
    [{ groups: 3, chosenGroups: 1, chosen: 3 }, /^chosen: expected at most the 2/],
    [{ shared: -1 }, /^shared: /],
    [{ scoring: 'relu' as never }, /^scoring: expected softmax or sigmoid, got "relu"/],
  ]
  for (const [change, message] of bad) expect(() => make({ ...good, ...change })).toThrow(message)
  expect(() => make(good).forward(tf.zeros([2, 3]))).toThrow(/^x: /)
})

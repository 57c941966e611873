import * as tf from '@tensorflow/tfjs-core'
import { key } from '@x/core-gpu'
import { expect } from 'vitest'
import { MixtureOfExperts, type MixtureOfExpertsOptions } from '../index.ts'

type Options = Omit<MixtureOfExpertsOptions, 'dim' | 'hiddenDim' | 'key'>

export function make(options: Options, seed = 1): MixtureOfExperts {
  return new MixtureOfExperts({ dim: 4, hiddenDim: 5, key: key(seed), ...options })
}

export const kinds: Record<string, Options> = {
  plain: { experts: 5, chosen: 2 },
  'V2, in groups': { experts: 6, chosen: 2, shared: 1, groups: 3, chosenGroups: 2, scale: 4 },
  'V3, in groups': { experts: 6, chosen: 3, shared: 2, scoring: 'sigmoid', groups: 3, chosenGroups: 2, normalise: true, scale: 2.5 }, // prettier-ignore
}

/** The sum over experts, by each token's scores in double precision. */
async function expected(moe: MixtureOfExperts, options: Options, rows: tf.Tensor2D): Promise<number[][]> {
  const { experts, chosen, scoring = 'softmax', groups = 1, chosenGroups = groups, normalise, scale = 1 } = options
  const raw = await read(moe.router.forward(rows))
  const bias = moe.bias ? await moe.bias.data() : Array<number>(experts).fill(0)
  const outputs = await Promise.all(moe.experts.map((expert) => read(expert.forward(rows))))
  const shared = moe.shared ? await read(moe.shared.forward(rows)) : undefined
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

/** The numbers of a matrix, which is disposed. */
async function read(matrix: tf.Tensor): Promise<number[][]> {
  const numbers = (await matrix.array()) as number[][]
  matrix.dispose()
  return numbers
}

/** Compares with the sum over experts, for `count` tokens drawn. */
export async function expectMixture(options: Options, count: number, seed: number): Promise<void> {
  const moe = make(options, seed)
  tf.tidy(() => moe.bias?.assign(tf.mul(0.3, key(seed).normal([options.experts]))))
  const rows = tf.tidy(() => tf.mul(2, key(seed + 1).normal([count, 4])) as tf.Tensor2D)
  const [got, wanted] = [(await read(moe.forward(rows))).flat(), (await expected(moe, options, rows)).flat()]
  expect(got).toHaveLength(wanted.length)
  got.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-4))
  rows.dispose()
  moe.dispose()
}

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, key, train, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, countLeaks } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { decoder, gqa, MixtureOfExperts, type MixtureOfExpertsOptions, nextTokenLoss, rope } from '../index.ts' // prettier-ignore
import { expectMixture, kinds, make } from './mixture-of-experts.cases.ts'

describe.each(['cpu', 'wasm'] as const)('a mixture of experts on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(Object.entries(kinds))('%s: is the sum of the chosen, whatever the tokens', (_, options) =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 7 }), fc.nat(1000), (count, seed) =>
        expectMixture(options, count, seed),
      ),
      { numRuns: 12 },
    ),
  )

  it.each(Object.entries(kinds))('%s: gradients by finite differences', async (_, options) => {
    const moe = make(options)
    const run = ({ x }: { x: tf.Tensor }): tf.Tensor => moe.forward(x)
    await checkGradients(run, { x: key(3).normal([2, 3, 4]) }, { step: 2 ** -8, tolerance: 5e-3 })
    const x = key(3).normal([2, 3, 4])
    const { experts } = moe.routes(tf.reshape(x, [6, 4]))
    const { gradients } = valueAndGradients(moe.parameters(), () => ({ loss: tf.sum(moe.forward(x)) as tf.Scalar }))
    // What no token chose learns nothing; the bias is for others to move.
    const chosen = new Set(await experts.data())
    const wanted = Object.keys(moe.parameters()).filter((name) => {
      const [, expert] = /^experts\.(\d+)/.exec(name) ?? []
      return expert === undefined || chosen.has(Number(expert))
    })
    expect(Object.keys(gradients).sort()).toEqual(wanted.sort())
    expect(wanted).toContain('router.weight')
    expect(wanted).not.toContain('bias')
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

it('a decoder of them learns a pattern', async () => {
  await useBackend('wasm')
  const model = decoder({
    vocabulary: 5,
    dim: 8,
    layers: 1,
    attention: (_, own) => gqa({ dim: 8, heads: 2, groups: 1, positions: rope(), key: own }),
    feedForward: (_, own) => new MixtureOfExperts({ ...kinds['V3, in groups']!, dim: 8, hiddenDim: 8, key: own }),
  })
  const tokens = tf.tensor2d([[0, 1, 2, 3, 4, 0, 1, 2, 3, 4]], [1, 10], 'int32')
  const loss = (): number => tf.tidy(() => nextTokenLoss(model, tokens).dataSync()[0]!)
  const before = loss()
  await train(model, {
    data: () => tf.clone(tokens),
    loss: (batch) => nextTokenLoss(model, batch, { training: true }),
    optimizer: new AdamW({ learningRate: 0.02 }),
    steps: 40,
    progress: 'silent',
  })
  expect(loss()).toBeLessThan(before / 4)
  tokens.dispose()
  model.dispose()
})

it('bad options are refused by name', () => {
  const good = { experts: 6, chosen: 2 }
  const bad: [Partial<MixtureOfExpertsOptions>, RegExp][] = [
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

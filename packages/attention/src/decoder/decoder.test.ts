import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { decoder, generate, mha, rope, speculate } from '../index.ts'
import { cachedDecoderCases, decoderCases } from './decoder.cases.ts'

describe.each(['cpu', 'wasm'] as const)('decoder on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))
  cachedDecoderCases()
  decoderCases()
})

it('speculation draws from the model’s distribution, not the draft’s', async () => {
  await useBackend('wasm')
  const make = (seed: number) =>
    decoder({ vocabulary: 4, dim: 8, layers: 1, hiddenDim: 8, attention: (_, own) => mha({ dim: 8, heads: 2, positions: rope(), key: own }), key: key(seed) }) // prettier-ignore
  const [model, draft] = [make(0), make(1)]
  for (const each of [model, draft]) each.embedding.weight.assign(tf.mul(60, each.embedding.weight))
  const prompts = Array.from({ length: 600 }, () => [2, 1])
  const plain = await generate(model, prompts, { maxTokens: 2, key: key(1) })
  const { tokens, proposed, accepted } = await speculate(model, draft, prompts, { maxTokens: 2, ahead: 2, key: key(2) })
  const shares = (all: readonly number[][]): number[] =>
    Array.from({ length: 16 }, (_, pair) => all.filter(([a = 0, b]) => b === pair - 4 * a).length / all.length)
  const [wanted, got] = [shares(plain), shares(tokens)]
  // Two samples of 600: five standard errors of their difference.
  wanted.forEach((share, pair) => expect(Math.abs(got[pair]! - share)).toBeLessThan(5 * Math.sqrt((2 * 0.25) / 600)))
  const distance = wanted.reduce((sum, share, pair) => sum + Math.abs(share - got[pair]!), 0)
  expect(distance).toBeLessThan(0.25)
  expect(accepted).toBeGreaterThan(0)
  expect(accepted).toBeLessThan(proposed)
  model.dispose()
  draft.dispose()
})

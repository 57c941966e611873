import * as tf from '@tensorflow/tfjs-core'
import { AdamW, key, type Key, train } from '@x/core-gpu'
import { checkGradients, countLeaks } from '@x/core-gpu/testing'
import { expect, it } from 'vitest'
import {
  alibi,
  type Attention,
  decoder,
  type Decoder,
  generate,
  gla,
  gqa,
  gta,
  mfa,
  mha,
  mla,
  mqa,
  nextTokenLoss,
  rope,
  speculate,
  stream,
  tpa,
} from '../index.ts'

const dim = 8
const heads = { dim, heads: 2, positions: rope() }
const latent = { dim, heads: 2, kvRank: 6, nopeDim: 4, ropeDim: 2 }

/** Every attention, in a model of its own. */
const attentions: Record<string, (key: Key) => Attention> = {
  mha: (key) => mha({ ...heads, key }),
  'mha with alibi': (key) => mha({ dim, heads: 2, positions: alibi(), key }),
  'mha with the first layer’s values': (key) => mha({ ...heads, valueResidual: true, key }),
  mqa: (key) => mqa({ ...heads, key }),
  gqa: (key) => gqa({ ...heads, heads: 4, groups: 2, qkNorm: true, key }),
  mla: (key) => mla({ ...latent, queryRank: 4, key }),
  gla: (key) => gla({ ...latent, groups: 2, key }),
  mfa: (key) => mfa({ ...heads, queryRank: 3, key }),
  tpa: (key) => tpa({ ...heads, ranks: [2, 1, 1], key }),
  gta: (key) => gta({ dim, heads: 2, groups: 1, key }),
}

function small(name = 'gqa', options: { tied?: boolean; vocabulary?: number; seed?: number } = {}): Decoder {
  const { tied = true, vocabulary = 11, seed = 0 } = options
  return decoder({
    vocabulary,
    dim,
    layers: 2,
    hiddenDim: 12,
    tied,
    attention: (_, own) => attentions[name]!(own),
    key: key(seed),
  })
}

/** Larger first weights than usual, so that logits differ. */
function lively(name?: string, options?: Parameters<typeof small>[1]): Decoder {
  const model = small(name, options)
  tf.tidy(() => model.embedding.weight.assign(tf.mul(30, model.embedding.weight)))
  return model
}

const prompts = [[1, 2, 3, 4, 5], [7], [9, 8, 10]]

async function expectClose(got: tf.Tensor, wanted: tf.Tensor, tolerance = 2e-5): Promise<void> {
  expect(got.shape).toEqual(wanted.shape)
  const [a, b] = [await got.data(), await wanted.data()]
  b.forEach((value, i) => expect(Math.abs(a[i]! - value)).toBeLessThan(tolerance * (1 + Math.abs(value))))
}

/** What must hold on every backend: pieces through a cache say what one call says. */
export function cachedDecoderCases(names: readonly string[] = Object.keys(attentions)): void {
  it.each(names)('%s: a cache in pieces gives what one call gives', async (name) => {
    const model = lively(name)
    const tokens = tf.tensor2d([[1, 4, 2, 8, 5, 7], [0, 3, 6, 9, 10, 2]], [2, 6], 'int32') // prettier-ignore
    const whole = model.logits(tokens)
    expect(whole.shape).toEqual([2, 6, 11])
    const cache = model.createCache({ batch: 2, capacity: 6 })
    const pieces = [[0, 3], [3, 1], [4, 2]].map(([from, count]) => model.logits(tf.slice(tokens, [0, from!], [2, count!]), { cache })) // prettier-ignore
    await expectClose(tf.concat(pieces, 1), whole)
    expect(cache.lengths).toEqual([6, 6])
    expect(cache.bytes).toBe(cache.layers.reduce((sum, { bytes }) => sum + bytes, 0))
    cache.dispose()
    model.dispose()
  })
}

/** What a decoder and what generates by it must do beside, on the current backend. */
export function decoderCases(): void {
  it('generates greedily what a model without a cache would say', async () => {
    const model = lively()
    const made = await generate(model, prompts, { maxTokens: 4, temperature: 0, chunk: 2 })
    for (const [i, prompt] of prompts.entries()) {
      const tokens = [...prompt]
      for (let n = 0; n < 4; n++) {
        const logits = model.logits(tf.tensor2d([tokens], [1, tokens.length], 'int32'))
        const last = (await logits.data()).slice(-11)
        tokens.push(last.indexOf(Math.max(...last)))
        logits.dispose()
      }
      expect(made[i]).toEqual(tokens.slice(prompt.length))
    }
    model.dispose()
  })

  it('speculation changes no greedy token, whatever the draft', async () => {
    const [model, other] = [lively('mla'), lively('mqa', { seed: 5 })]
    const wanted = await generate(model, prompts, { maxTokens: 7, temperature: 0 })
    for (const [draft, ahead] of [
      [model, 3],
      [other, 2],
      [other, 5],
    ] as const) {
      // prettier-ignore
      const { tokens, proposed, accepted } = await speculate(model, draft, prompts, { maxTokens: 7, temperature: 0, ahead })
      expect(tokens).toEqual(wanted)
      expect(accepted).toBeLessThanOrEqual(proposed)
      if (draft === model) expect(accepted).toBe(proposed)
    }
    model.dispose()
    other.dispose()
  })

  it('samples the same for a key, and for a sequence in any company', async () => {
    const model = lively()
    const options = { maxTokens: 5, key: key(3) }
    const together = await generate(model, prompts, options)
    expect(await generate(model, prompts, options)).toEqual(together)
    expect(await generate(model, [prompts[0]!], options)).toEqual([together[0]])
    const others = await generate(model, prompts, { ...options, key: key(4) })
    expect(others).not.toEqual(together)
    model.dispose()
  })

  it('stops at tokens, sequences and the most tokens, and hands tokens over as they come', async () => {
    const model = lively()
    const all = (await generate(model, [[1]], { maxTokens: 6, temperature: 0 }))[0]!
    const stop = all[2]!
    const cut = all.slice(0, all.indexOf(stop) + 1)
    expect((await generate(model, [[1]], { maxTokens: 6, temperature: 0, stop: [stop] }))[0]).toEqual(cut)
    const pair = all.slice(1, 3)
    const [paired] = await generate(model, [[1]], { maxTokens: 6, temperature: 0, stop: [pair] })
    expect(paired!.slice(-2)).toEqual(pair)
    const seen: number[] = []
    for await (const { sequence, token, index, last } of stream(model, [[1]], { maxTokens: 6, temperature: 0 })) {
      expect([sequence, index, last]).toEqual([0, seen.length, seen.length === 5])
      seen.push(token)
    }
    expect(seen).toEqual(all)
    expect(await generate(model, [[1]], { maxTokens: 0 })).toEqual([[]])
    model.dispose()
  })

  it('trains: gradients are those of differences, and a pattern is learned', async () => {
    const model = small('gqa', { tied: false, vocabulary: 5 })
    const tokens = tf.tensor2d([[0, 1, 2, 3, 4, 0], [2, 3, 4, 0, 1, 2], [3, 4, 0, 1, 2, 3]], [3, 6], 'int32') // prettier-ignore
    const tried = lively('gqa', { tied: false, vocabulary: 5 })
    await checkGradients(() => nextTokenLoss(tried, tokens), tried.parameters(), { elements: 1, tolerance: 4e-3 })
    tried.dispose()
    const first = nextTokenLoss(model, tokens)
    const { last } = await train(model, {
      data: () => tokens.clone(),
      loss: (batch) => nextTokenLoss(model, batch as tf.Tensor2D, { training: true }),
      optimizer: new AdamW({ learningRate: 0.02 }),
      steps: 60,
      progress: 'silent',
    })
    expect(last!.loss).toBeLessThan((await first.data())[0]! / 4)
    expect(await generate(model, [[3]], { maxTokens: 3, temperature: 0 })).toEqual([[4, 0, 1]])
    model.dispose()
  })

  it('weighs tokens, and the loss is that of the logits', async () => {
    const model = lively()
    const tokens = tf.tensor2d([[1, 5, 2]], [1, 3], 'int32')
    const logits = (await model.logits(tokens).array())[0]!
    const nll = (row: number[], token: number): number =>
      Math.log(row.reduce((sum, score) => sum + Math.exp(score), 0)) - row[token]!
    const [a, b] = [nll(logits[0]!, 5), nll(logits[1]!, 2)]
    expect((await nextTokenLoss(model, tokens).data())[0]).toBeCloseTo((a + b) / 2, 4)
    const weights = tf.tensor2d([[9, 1, 3]])
    expect((await nextTokenLoss(model, tokens, { weights }).data())[0]).toBeCloseTo((a + 3 * b) / 4, 4)
    model.dispose()
  })

  it('survives a round trip through its saved state, and shares the tokens’ vectors once', async () => {
    const [model, other] = [lively(), small('gqa', { seed: 9 })]
    other.load(model.state())
    const tokens = tf.tensor2d([[1, 2, 3]], [1, 3], 'int32')
    await expectClose(other.logits(tokens), model.logits(tokens), 1e-7)
    expect(Object.keys(model.state())).toContain('blocks.1.attention.out.weight')
    expect(Object.keys(model.state())).not.toContain('head.weight')
    expect(small('gqa', { tied: false }).size - model.size).toBe(11 * dim)
    model.dispose()
    other.dispose()
  })

  it('leaves no tensor behind, also when nobody listens to the end', async () => {
    const model = lively()
    expect(await countLeaks(() => generate(model, prompts, { maxTokens: 3, chunk: 2 }))).toBe(0)
    expect(await countLeaks(() => speculate(model, model, prompts, { maxTokens: 3 }))).toBe(0)
    expect(
      await countLeaks(async () => {
        for await (const { index } of stream(model, prompts, { maxTokens: 5 })) if (index === 1) break
      }),
    ).toBe(0)
    expect(
      await countLeaks(async () => {
        const signal = AbortSignal.abort(new Error('enough'))
        await expect(generate(model, prompts, { maxTokens: 5, signal })).rejects.toThrow('enough')
      }),
    ).toBe(0)
    model.dispose()
  })

  it('refuses bad input by name', async () => {
    const model = small()
    const tokens = tf.tensor2d([[1, 2]], [1, 2], 'int32')
    expect(() => decoder({ vocabulary: 0, dim, layers: 1, attention: () => mha(heads) })).toThrow(/^vocabulary/)
    expect(() => decoder({ vocabulary: 3, dim: 6, layers: 1, attention: () => mha(heads) })).toThrow(/^attention/)
    expect(() => model.logits(tf.tensor2d([[1, 2]]))).toThrow(/^tokens/)
    expect(() => model.logits(tf.tensor1d([1], 'int32') as never)).toThrow(/^tokens/)
    expect(() => nextTokenLoss(model, tf.slice(tokens, [0, 0], [1, 1]))).toThrow(/^tokens/)
    expect(() => nextTokenLoss(model, tokens, { weights: tf.ones([1, 3]) })).toThrow(/^weights/)
    await expect(generate(model, [], { maxTokens: 1 })).rejects.toThrow(/^prompts/)
    await expect(generate(model, [[]], { maxTokens: 1 })).rejects.toThrow(/^prompts/)
    await expect(generate(model, [[11]], { maxTokens: 1 })).rejects.toThrow(/^prompts/)
    await expect(generate(model, [[1]], { maxTokens: -1 })).rejects.toThrow(/^maxTokens/)
    await expect(generate(model, [[1]], { maxTokens: 1, chunk: 0 })).rejects.toThrow(/^chunk/)
    await expect(speculate(model, small('gqa', { vocabulary: 3 }), [[1]], { maxTokens: 1 })).rejects.toThrow(/^draft/)
    await expect(speculate(model, model, [[1]], { maxTokens: 1, ahead: 0 })).rejects.toThrow(/^ahead/)
    model.dispose()
  })
}

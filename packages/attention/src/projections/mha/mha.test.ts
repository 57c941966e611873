import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { alibi } from '../../positions/alibi/alibi.ts'
import { rope } from '../../positions/rope/rope.ts'
import { voRope } from '../../positions/vo-rope/vo-rope.ts'
import { yarn } from '../../positions/yarn/yarn.ts'
import { attentionConformance } from '../../testing/index.ts'
import { gqa } from '../gqa/gqa.ts'
import type { GroupedAttention } from '../grouped.ts'
import { mha, type MhaOptions } from './mha.ts'

describe.each(['cpu', 'wasm'] as const)('mha on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, Partial<MhaOptions>, relative?: boolean][] = [
    ['plain', {}],
    ['rope, biases, norms, a gate, learned sinks, a softcap', { positions: rope(), bias: true, qkNorm: true, gate: 'element', sinks: 'learned', softcap: 3 }],
    ['yarn, part of a head, a window, fixed sinks', { positions: rope({ dims: 2, at: 'last', layout: 'interleaved', scaling: yarn({ factor: 4, originalLength: 16 }) }), window: 3, sinks: 0, gate: 'head' }],
    ['alibi, a window and the first two keys', { positions: alibi(), window: 2, keepFirst: 2, sinks: 'learned' }, false],
    ['vo-rope, values of another width', { positions: voRope(), valueDim: 6 }],
    ['changed scores, dropout', { scoreMod: (scores, { query, key }) => tf.sub(scores, tf.mul(0.1, tf.square(tf.sub(query, key)))), dropout: 0.3 }],
  ] // prettier-ignore
  describe.each(examples)('%s', (_, options, relative = true) => {
    const { valueDim = 4 } = options
    const checks = attentionConformance(mha, {
      options: (k) => ({ dim: 8, heads: 2, key: k, ...options }),
      badOptions: {
        dim: [0, 2.5],
        heads: [0, '2'],
        headDim: [0],
        positions: ['rope', {}],
        causal: [1],
        window: [0, [1]],
        softcap: [0, -1],
        sinks: ['fixed', Number.NaN],
        gate: ['both'],
        scoreMod: [1],
        dropout: [1, -0.1],
        scale: [Number.NaN],
        qkNorm: [1],
        normEpsilon: [-1],
        bias: [0],
        valueDim: [0],
        valueResidual: ['yes'],
      },
      elementsPerToken: 2 * (4 + valueDim),
      relative,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  describe('with values of the first layer', () => {
    let first: GroupedAttention
    beforeAll(() => void (first = mha({ dim: 8, heads: 2, key: key(20) })))
    const checks = attentionConformance(mha, {
      options: (k) => ({ dim: 8, heads: 2, key: k, valueResidual: true }),
      badOptions: {},
      elementsPerToken: 16,
      extra: (_, x) => ({ firstValues: first.values(x) }),
    })
    it.each(checks)('$name', ({ run }) => run())

    it('mixes by its share, and wants what it mixes', async () => {
      const made = mha({ dim: 8, heads: 2, key: key(1), valueResidual: true })
      const plain = mha({ dim: 8, heads: 2, key: key(1) })
      const x = key(2).normal<tf.Rank.R3>([1, 3, 8])
      const firstValues = first.values(x)
      made.load({ ...made.state(), 'projection.mix': tf.scalar(1) })
      expect(await made.forward(x, { firstValues }).data()).toEqual(await plain.forward(x).data())
      expect(() => made.forward(x)).toThrow(/^firstValues: expected those/)
      expect(() => plain.forward(x, { firstValues })).toThrow(/^firstValues: this attention mixes none in/)
      expect(() => made.forward(x, { firstValues: tf.zeros([1, 2, 2, 4]) })).toThrow(/^firstValues: expected shape/)
    })
  })

  it('is GQA with as many groups as heads, bit for bit', async () => {
    const options = { dim: 8, heads: 4, positions: rope(), key: key(3) }
    const [one, other] = [mha(options), gqa({ ...options, groups: 4 })]
    const x = key(4).normal<tf.Rank.R3>([2, 5, 8])
    expect(await one.forward(x).data()).toEqual(await other.forward(x).data())
  })

  it('sees in a window as long as the sequence what it sees without one', async () => {
    const x = key(4).normal<tf.Rank.R3>([2, 5, 8])
    const ways = [{}, { window: 5 }, { window: 9, keepFirst: 1 }, { sinks: -1e30 }, { softcap: 1e6 }] as const
    const [plain, ...others] = ways.map((way) =>
      mha({ dim: 8, heads: 2, ...way })
        .forward(x)
        .dataSync(),
    )
    for (const other of others) other.forEach((value, i) => expect(value).toBeCloseTo(plain![i]!, 5))
  })

  it('attends to both sides where it is not causal', () => {
    const attention = mha({ dim: 8, heads: 2, causal: false })
    const x = key(5).normal<tf.Rank.R3>([1, 4, 8])
    // Without positions and order, outputs are those of the set.
    const [there, back] = [attention.forward(x), tf.reverse(attention.forward(tf.reverse(x, 1)), 1)]
    there.dataSync().forEach((value, i) => expect(value).toBeCloseTo(back.dataSync()[i]!, 5))
  })

  it('lets scores fall with the distance to either side under ALiBi', () => {
    const attention = mha({ dim: 8, heads: 2, causal: false, positions: alibi() })
    const x = key(5).normal<tf.Rank.R3>([1, 5, 8])
    const [there, back] = [attention.forward(x), tf.reverse(attention.forward(tf.reverse(x, 1)), 1)]
    there.dataSync().forEach((value, i) => expect(value).toBeCloseTo(back.dataSync()[i]!, 5))
  })

  it('drops as many weights as asked, and none outside training', async () => {
    const attention = mha({ dim: 8, heads: 2, dropout: 0.5 })
    const x = key(5).normal<tf.Rank.R3>([1, 4, 8])
    const train = (seed: number): Promise<Float32Array> => attention.forward(x, { training: true, key: key(seed) }).data() as Promise<Float32Array> // prettier-ignore
    expect(await train(1)).toEqual(await train(1))
    expect(await train(1)).not.toEqual(await train(2))
    expect(await attention.forward(x).data()).toEqual(await mha({ dim: 8, heads: 2 }).forward(x).data())
    expect(() => attention.forward(x, { training: true })).toThrow(/^key: dropout needs a key/)
    // In expectation the weights are what they are without: over many draws the mean comes near.
    const many = tf.tidy(() => tf.mean(tf.stack(Array.from({ length: 400 }, (_, i) => attention.forward(x, { training: true, key: key(i) }))), 0)) // prettier-ignore
    const plain = attention.forward(x)
    const off = tf.mean(tf.abs(tf.sub(many, plain))).dataSync()[0]!
    expect(off).toBeLessThan(0.1 * tf.mean(tf.abs(plain)).dataSync()[0]!)
  })

  it('bears scores of 10,000 and odd lengths', async () => {
    for (const length of [1, 3, 31, 33, 65]) {
      const attention = mha({ dim: 8, heads: 2, positions: rope() })
      const x = key(6).normal<tf.Rank.R3>([1, length, 8], { standardDeviation: 300 })
      expect((await attention.forward(x).data()).every(Number.isFinite)).toBe(true)
    }
  })

  it('refuses options that do not fit one another', () => {
    expect(() => mha({ dim: 9, heads: 2 })).toThrow(/^headDim: expected one, since 2 heads do not divide 9/)
    expect(() => mha({ dim: 6, heads: 2, positions: rope() })).toThrow(/^dims: expected an even number, got 3/)
    expect(() => mha({ dim: 8, heads: 2, positions: rope({ dims: 6 }) })).toThrow(/^dims: expected at most the width 4/)
    expect(() => mha({ dim: 8, heads: 2, keepFirst: 2 })).toThrow(/^keepFirst: has an effect only beside a window/)
    expect(() => mha({ dim: 8, heads: 2, positions: alibi() }).forward(tf.zeros([1, 2, 8]), { positions: [0, 1] })).toThrow(/^positions: alibi counts tokens/) // prettier-ignore
  })
})

import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, conformance, expectRefusal } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { binaryMapper } from './binary-mapper.ts'

/** Probabilities of all codes of two bits, the first least significant. */
function byHand(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const [p, q] = [tf.sigmoid(a), tf.sigmoid(b)]
  const [not, nor] = [tf.sub(1, p), tf.sub(1, q)]
  return tf.stack([tf.mul(not, nor), tf.mul(p, nor), tf.mul(not, q), tf.mul(p, q)], -1)
}

describe.each(['cpu', 'wasm'] as const)('binary-mapper on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = conformance(binaryMapper, {
    options: () => ({ bits: 3 }),
    badOptions: { bits: [0, 21, 1.5], freeNats: [-1] },
    call: (made, k) => {
      const logits = k.normal([4, 5, 3])
      const { oneHot, indices, loss, terms } = made.map(logits, { training: true, key: k })
      tf.dispose([logits, terms])
      return { oneHot, indices, loss, codes: made.codebook() }
    },
  })
  it.each(checks)('$name', ({ run }) => run())

  it('hands on a one at the code of its bits, the first bit least significant', async () => {
    const mapper = binaryMapper({ bits: 3 })
    const logits = tf.tensor2d([
      [5, -5, -5],
      [-5, -5, 5],
      [5, 5, 5],
    ])
    const { oneHot, indices, loss, terms } = mapper.map(logits)
    expect(await indices.data()).toEqual(Int32Array.from([1, 4, 7]))
    const rows = (await oneHot.array()) as number[][]
    rows.forEach((row, i) => expect(row.indexOf(1)).toBe([1, 4, 7][i]))
    expect(rows.flat().reduce((a, b) => a + b)).toBe(3)
    expect((await loss.data())[0]).toBe(0)
    expect(terms).toEqual({})
    expect(((await mapper.codebook().array()) as number[][])[4]).toEqual([0, 0, 1])
  })

  it('draws each bit as often as its probability says, colder when asked', async () => {
    const mapper = binaryMapper({ bits: 2 })
    const logits = tf.tile(tf.tensor2d([[1, -0.5]]), [8000, 1])
    const share = async (temperature: number): Promise<number[]> => {
      const { indices } = mapper.map(logits, { key: key(1), temperature })
      const drawn = Array.from(await indices.data())
      return [0, 1].map((bit) => drawn.filter((code) => ((code >> bit) & 1) === 1).length / drawn.length)
    }
    const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
    const [first, second] = await share(1)
    expect(first).toBeCloseTo(sigmoid(1), 1)
    expect(second).toBeCloseTo(sigmoid(-0.5), 1)
    const [cold] = await share(0.1)
    expect(cold).toBeGreaterThan(0.99)
  })

  it('has the gradient of the probabilities of all codes', async () => {
    const mapper = binaryMapper({ bits: 2 })
    const [logits, g] = [tf.variable(key(2).normal([5, 2])), key(3).normal([5, 4])]
    const { gradients } = valueAndGradients({ logits }, () => {
      const { oneHot } = mapper.map(logits, { training: true, key: key(4) })
      return { loss: tf.sum(tf.mul(oneHot, g)) }
    })
    const wanted = tf.grad((x: tf.Tensor) => {
      const [a, b] = [tf.squeeze(tf.slice(x, [0, 0], [-1, 1]), [1]), tf.squeeze(tf.slice(x, [0, 1], [-1, 1]), [1])]
      return tf.sum(tf.mul(byHand(a, b), g))
    })(logits)
    const [got, expected] = [await gradients['logits']!.data(), await wanted.data()]
    expected.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 5))
  })

  it('charges for information beyond what is free, with the gradient of finite differences', async () => {
    const sure = tf.fill([4, 3], 20)
    const term = async (freeNats: number, logits: tf.Tensor): Promise<number> => {
      const { loss } = binaryMapper({ bits: 3, freeNats }).map(logits, { training: true, key: key(5) })
      return (await loss.data())[0]!
    }
    expect(await term(0, sure)).toBeCloseTo(3 * Math.LN2, 4)
    expect(await term(Math.LN2, sure)).toBeCloseTo(2 * Math.LN2, 4)
    expect(await term(0, tf.zeros([4, 3]))).toBeCloseTo(0, 5)
    const mapper = binaryMapper({ bits: 3, freeNats: 0 })
    await checkGradients(({ x }) => mapper.map(x, { training: true, key: key(6) }).loss, { x: key(7).normal([6, 3]) })
  })

  it('knows the log-probability of its codes', async () => {
    const mapper = binaryMapper({ bits: 2 })
    const logits = key(8).normal([3, 2])
    const all = await Promise.all(
      [0, 1, 2, 3].map((code) => mapper.logProbability(logits, tf.fill([3], code, 'int32')).data()),
    )
    for (let i = 0; i < 3; i++) expect(all.reduce((sum, row) => sum + Math.exp(row[i]!), 0)).toBeCloseTo(1, 5)
  })

  it('honours a mask, and refuses bad input by name', async () => {
    const mapper = binaryMapper({ bits: 2, freeNats: 0 })
    const logits = tf.tensor2d([
      [9, 9],
      [0, 0],
    ])
    const mask = tf.tensor1d([0, 1])
    const { oneHot, indices, loss } = mapper.map(logits, { training: true, key: key(9), mask })
    expect((await indices.data())[0]).toBe(-1)
    expect(Array.from(await oneHot.data()).slice(0, 4)).toEqual([0, 0, 0, 0])
    expect((await loss.data())[0]).toBeCloseTo(0, 5)
    expectRefusal('logits', () => mapper.map(tf.zeros([2, 3])))
    expectRefusal('key', () => mapper.map(logits, { training: true }))
    expectRefusal('temperature', () => mapper.map(logits, { temperature: 0 }))
    expectRefusal('mask', () => mapper.map(logits, { mask: tf.ones([3]) }))
  })
})

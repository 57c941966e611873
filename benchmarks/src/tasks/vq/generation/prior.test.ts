import * as tf from '@tensorflow/tfjs-core'
import { initialisers, key, logSoftmax, useBackend } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { CodePrior, type CodePriorOptions } from './prior.ts'
import { sampleCodes } from './sample.ts'
import { bitsPerToken, type CodedDigits, trainPrior } from './train-prior.ts'

beforeAll(async () => {
  // What is computed here is too small to share.
  await useBackend('wasm', { threads: 1 })
})

const tiny: CodePriorOptions = { codes: 3, length: 3, classes: 2, width: 8, heads: 2, layers: 2 }
const signal = new AbortController().signal

/** One whose head is not zero any more. */
function moved(options: CodePriorOptions = tiny): CodePrior {
  const prior = new CodePrior(options, key(1))
  const weight = initialisers.normal({ standardDeviation: 1 })
  tf.tidy(() => prior.head.weight.assign(weight([options.codes, options.width], { in: 1, out: 1 }, key(2))))
  return prior
}

function likelihoods(prior: CodePrior, label: number, codes: number[][]): number[][] {
  return tf.tidy(() => {
    const labels = tf.fill<tf.Rank.R1>([codes.length], label, 'int32')
    return prior.negativeLogLikelihood(labels, tf.tensor2d(codes, undefined, 'int32')).arraySync()
  })
}

describe('CodePrior', () => {
  it('costs log2 K bits for each code before it has learned', async () => {
    const prior = new CodePrior({ ...tiny, codes: 512, length: 8 }, key(1))
    const digits = { labels: Uint8Array.of(0, 1, 1), codes: Int32Array.from({ length: 24 }, (_, i) => i * 21) }
    expect(await bitsPerToken(prior, digits)).toBeCloseTo(9, 5)
    prior.dispose()
  })

  it('gives all sequences together a probability of 1', () => {
    const prior = moved()
    const all = Array.from({ length: 27 }, (_, i) => [Math.floor(i / 9), Math.floor(i / 3) % 3, i % 3])
    for (const label of [0, 1]) {
      const sums = likelihoods(prior, label, all).map((nats) => Math.exp(-nats.reduce((sum, value) => sum + value, 0)))
      expect(sums.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5)
      expect(Math.max(...sums)).toBeGreaterThan(1.5 / 27)
    }
    prior.dispose()
  })

  it('sees the class and the codes before each one, and none after', () => {
    const prior = moved()
    const [[a], [b], [c]] = [
      likelihoods(prior, 0, [[1, 0, 2]]),
      likelihoods(prior, 0, [[1, 2, 2]]),
      likelihoods(prior, 1, [[1, 0, 2]]),
    ]
    expect(b![0]).toBeCloseTo(a![0]!, 6)
    expect(Math.abs(b![2]! - a![2]!)).toBeGreaterThan(1e-3)
    expect(Math.abs(c![0]! - a![0]!)).toBeGreaterThan(1e-3)
    prior.dispose()
  })

  it('says of the next code what its likelihood says', () => {
    const prior = moved()
    const codes = [2, 0, 1]
    const [nats] = likelihoods(prior, 1, [codes])
    for (let known = 0; known < 3; known++) {
      const next = tf.tidy(() => {
        const before = tf.tensor2d(codes.slice(0, known), [1, known], 'int32')
        return logSoftmax(prior.next(tf.tensor1d([1], 'int32'), before)).dataSync()
      })
      expect(-next[codes[known]!]!).toBeCloseTo(nats![known]!, 5)
    }
    prior.dispose()
  })

  it('refuses heads that do not share the width evenly', () => {
    expect(() => new CodePrior({ ...tiny, heads: 3 }, key(1))).toThrow(
      /^heads: expected a divisor of the width 8, got 3/,
    )
  })
})

describe('sampleCodes', () => {
  it('draws the same codes under the same key, others under another', async () => {
    const prior = moved({ ...tiny, length: 8 })
    const labels = new Uint8Array(20)
    const first = await sampleCodes(prior, labels, key(3), signal)
    expect(await sampleCodes(prior, labels, key(3), signal)).toEqual(first)
    expect(await sampleCodes(prior, labels, key(4), signal)).not.toEqual(first)
    prior.dispose()
  })

  it('draws a digit the same whatever is drawn beside it', async () => {
    const prior = moved()
    const labels = Uint8Array.from({ length: 600 }, (_, i) => i % 2)
    const all = await sampleCodes(prior, labels, key(3), signal)
    expect(await sampleCodes(prior, labels.subarray(0, 7), key(3), signal)).toEqual(all.subarray(0, 21))
    prior.dispose()
  })

  it('draws codes as often as they are likely', async () => {
    const prior = moved()
    const count = 4000
    const codes = await sampleCodes(prior, new Uint8Array(count).fill(1), key(5), signal)
    const last = codes.filter((_, i) => i % 3 === 0)
    for (let code = 0; code < 3; code++) {
      const probability = Math.exp(-likelihoods(prior, 1, [[code, 0, 0]])[0]![0]!)
      const frequency = last.filter((value) => value === code).length / count
      // Four standard deviations.
      expect(Math.abs(frequency - probability)).toBeLessThan(4 * Math.sqrt((probability * (1 - probability)) / count))
    }
    prior.dispose()
  })

  it('stops when told', async () => {
    const prior = moved()
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(sampleCodes(prior, new Uint8Array(2), key(1), stop.signal)).rejects.toThrow('enough')
    prior.dispose()
  })
})

describe('trainPrior', () => {
  const options = { ...tiny, codes: 5, length: 4, width: 16, layers: 1 }
  /** Two classes of one sequence each. */
  const sequences = [
    [4, 0, 3, 3],
    [4, 1, 0, 2],
  ]
  const labels = Uint8Array.from({ length: 128 }, (_, i) => i % 2)
  const digits: CodedDigits = { labels, codes: Int32Array.from([...labels].flatMap((label) => sequences[label]!)) }

  it('learns what belongs to a class, and draws it', async () => {
    const prior = new CodePrior(options, key(1))
    const losses: number[] = []
    await trainPrior(prior, digits, { steps: 150, key: key(2), signal, onStep: ({ loss }) => void losses.push(loss) })
    expect(losses[0]).toBeCloseTo(Math.log(5), 5)
    expect(await bitsPerToken(prior, digits)).toBeLessThan(0.5)
    const drawn = await sampleCodes(prior, labels, key(3), signal)
    const expected = drawn.filter((code, i) => code === digits.codes[i])
    // Chance would be a fifth.
    expect(expected.length / drawn.length).toBeGreaterThan(0.7)
    prior.dispose()
  })

  it('keeps no tensor', async () => {
    const leaks = await countLeaks(async () => {
      const prior = new CodePrior(options, key(1))
      await trainPrior(prior, digits, { steps: 2, key: key(2), signal })
      await bitsPerToken(prior, digits)
      await sampleCodes(prior, digits.labels, key(3), signal)
      prior.dispose()
    })
    expect(leaks).toBe(0)
  })

  it('stops after the step under way', async () => {
    const prior = new CodePrior(options, key(1))
    const stop = new AbortController()
    let steps = 0
    const training = trainPrior(prior, digits, {
      steps: 10,
      key: key(2),
      signal: stop.signal,
      onStep: ({ step }) => {
        steps++
        if (step === 2) stop.abort(new Error('enough'))
      },
    })
    await expect(training).rejects.toThrow('enough')
    expect(steps).toBe(3)
    prior.dispose()
  })
})

import * as tf from '@tensorflow/tfjs-core'
import { AdamW, key, type Key, train, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, conformance, countLeaks, expectSame } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { Projected } from '../../adapters/projected.ts'
import { fsq } from '../../methods/fsq/fsq.ts'
import { groupedResidualVq } from '../../methods/grouped-residual-vq/grouped-residual-vq.ts'
import { qinco } from '../../methods/qinco/qinco.ts'
import { residualFsq } from '../../methods/residual-fsq/residual-fsq.ts'
import { residualVq } from '../../methods/residual-vq/residual-vq.ts'
import { vq } from '../../methods/vq/vq.ts'
import type { Quantizer } from '../../quantizer.ts'
import { type Codec, codec, type CodecOptions } from './codec.ts'
import { type CodecConfig, codecConfigs } from './config.ts'
import { SpectralDistance } from './spectral.ts'
import { signalToNoise, tones } from './tones.ts'

const { tiny } = codecConfigs
const layered = (k: Key = key(7)): Quantizer =>
  residualVq({ dim: 3, codebookSize: 8, layers: 3, codes: 'free', init: (shape, at) => at.normal(shape), key: k })
const make = (options: Partial<CodecOptions> = {}): Codec =>
  codec({ ...tiny, quantizer: layered(), key: key(1), ...options })
const configs: [string, Partial<CodecConfig>][] = [
  ['causal', {}],
  ['centred', { padding: 'centred' }],
  ['two channels, ELU, uneven strides', { channels: 2, activation: 'elu', strides: [3, 2], output: 'tanh' }],
  ['narrow units, an odd stride, centred', { compress: 2, strides: [5], padding: 'centred', unitKernelSize: 4 }],
]

/** Its values, and the tensor gone. */
async function take(tensor: tf.Tensor): Promise<number[]> {
  const values = Array.from(await tensor.data())
  tensor.dispose()
  return values
}

function expectClose(got: readonly number[], wanted: readonly number[]): void {
  expect(got.length).toBe(wanted.length)
  got.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-5))
}

describe.each(['cpu', 'wasm'] as const)('codec on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  describe.each(configs)('%s', (_, config) => {
    const checks = conformance(codec, {
      // These quantizers hold no tensors, so that a refusal leaves none.
      options: (k) => ({ ...tiny, ...config, quantizer: residualFsq({ levels: [5, 3], layers: 2 }), key: k }),
      badOptions: {
        channels: [0, 1.5],
        width: [0, '4'],
        strides: [[], [0], 2],
        dilations: [[0], []],
        kernelSize: [0],
        unitKernelSize: [0],
        compress: [0, 3],
        activation: ['relu'],
        padding: ['same'],
        output: ['sigmoid'],
        quantizer: [undefined, {}, 3],
        key: [3],
      },
      call: (made, k) => {
        const signal = k.normal([2, 11, made.channels])
        const { reconstruction, indices, loss } = made.forward(signal, { training: true, key: k })
        const again = made.decode(indices, { length: 11 })
        signal.dispose()
        return { reconstruction, indices, loss, again }
      },
    })
    it.each(checks)('$name', ({ run }) => run())

    it('keeps a signal of any length, in frames of its hop', async () => {
      const model = make(config)
      const { hop, channels } = model
      expect(hop).toBe((config.strides ?? tiny.strides).reduce((a, b) => a * b))
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3 }), async (length, batch) => {
          const signal = key(length).normal([batch, length, channels])
          const { reconstruction, indices } = model.forward(signal)
          const frames = Math.ceil(length / hop)
          expect(reconstruction.shape).toEqual([batch, length, channels])
          expect(indices.shape).toEqual([batch, frames, 3])
          const encoded = model.encode(signal)
          const [whole, cropped] = [model.decode(encoded), model.decode(encoded, { length })]
          expect(whole.shape).toEqual([batch, frames * hop, channels])
          expect(await take(encoded)).toEqual(await take(indices))
          expect(await take(cropped)).toEqual(await take(reconstruction))
          tf.dispose([signal, whole])
        }),
        { numRuns: 6 },
      )
      model.dispose()
    })

    it('has the gradients of finite differences, in the encoder and in the decoder', async () => {
      const model = make(config)
      const { hop, channels } = model
      const signal = key(2).normal<tf.Rank.R4>([1, 1, 2 * hop, channels])
      const frames = key(3).normal<tf.Rank.R4>([1, 1, 2, 3])
      const options = { step: 2 ** -6, tolerance: 4e-3, elements: 4 }
      const [encoder, decoder] = [model.encoder, model.decoder]
      await checkGradients(({ x }) => encoder.forward(x), { x: signal, ...encoder.parameters() } as Named, options)
      await checkGradients(({ x }) => decoder.forward(x), { x: frames, ...decoder.parameters() } as Named, options)
      tf.dispose([signal, frames])
      model.dispose()
    })
  })

  it('hears nothing before it happens, if causal', async () => {
    const model = make()
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 6 }), fc.integer(), async (frame, seed) => {
        const from = frame * model.hop
        const signal = key(Math.abs(seed)).normal<tf.Rank.R3>([1, 28, 1])
        const changed = tf.tidy(() => {
          const kept = tf.slice(signal, [0, 0, 0], [1, from + 1, 1])
          return tf.concat([kept, key(9).normal<tf.Rank.R3>([1, 27 - from, 1])], 1)
        })
        const [a, b] = [model.forward(signal), model.forward(changed)]
        // A frame sees its own samples, so what changed within one may alter all of it, but nothing before.
        expectClose((await take(a.reconstruction)).slice(0, from), (await take(b.reconstruction)).slice(0, from))
        expect((await take(a.indices)).slice(0, 3 * frame)).toEqual((await take(b.indices)).slice(0, 3 * frame))
        tf.dispose([signal, changed, { ...a, ...b } as unknown as tf.TensorContainer])
      }),
      { numRuns: 10 },
    )
    model.dispose()
  })

  it('hears what comes after, if centred', async () => {
    const model = make({ padding: 'centred' })
    const signal = key(4).normal<tf.Rank.R3>([1, 16, 1])
    const changed = tf.tidy(() => tf.concat([tf.slice(signal, [0, 0, 0], [1, 8, 1]), tf.zeros([1, 8, 1])], 1))
    const latents = (x: tf.Tensor): tf.Tensor => model.encoder.forward(tf.reshape(x, [1, 1, 16, 1]))
    const [a, b] = [await take(latents(signal)), await take(latents(changed))]
    expect(a.slice(3, 6)).not.toEqual(b.slice(3, 6))
    tf.dispose([signal, changed])
    model.dispose()
  })

  it.each(configs.filter(([, { padding }]) => padding !== 'centred'))(
    'gives in chunks what it gives at once: %s',
    async (_, config) => {
      const model = make(config)
      const { channels, hop } = model
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 8 }), async (sizes) => {
          const length = sizes.reduce((a, b) => a + b, 0)
          fc.pre(length > 0)
          const signal = key(length).normal<tf.Rank.R3>([2, length, channels])
          const indices = model.encode(signal, { layers: 2 })
          const encoder = model.encodeStream({ layers: 2 })
          const decoder = model.decodeStream()
          const pieces: tf.Tensor[] = []
          let from = 0
          for (const size of sizes) {
            const chunk = tf.slice(signal, [0, from, 0], [2, size, channels])
            const piece = encoder.push(chunk)
            expect(piece?.shape[1] ?? 0).toBe(Math.floor((from + size) / hop) - Math.floor(from / hop))
            if (piece) pieces.push(piece)
            from += size
            chunk.dispose()
          }
          const last = encoder.end()
          expect(last?.shape[1] ?? 0).toBe(length % hop === 0 ? 0 : 1)
          if (last) pieces.push(last)
          const [encoded, decoded] = tf.tidy(() => [
            tf.concat(pieces, 1),
            tf.concat(pieces.map((piece) => decoder.push(piece)), 1), // prettier-ignore
          ]) as [tf.Tensor, tf.Tensor]
          expect(encoded.shape).toEqual(indices.shape)
          expect(await take(encoded)).toEqual(Array.from(await indices.data()))
          expectClose(await take(decoded), await take(model.decode(indices)))
          decoder.dispose()
          tf.dispose([signal, indices, pieces])
        }),
        { numRuns: 6 },
      )
      model.dispose()
    },
  )

  it('begins anew when a stream has ended, and keeps nothing then', async () => {
    const model = make()
    const signal = key(5).normal([1, 10, 1])
    const [encoder, decoder] = [model.encodeStream(), model.decodeStream()]
    const once = (): tf.Tensor[] => {
      const indices = [encoder.push(signal)!, encoder.end()!]
      const decoded = indices.map((part) => decoder.push(part))
      decoder.dispose()
      return [...indices, ...decoded]
    }
    const [first, second] = [once(), once()]
    for (const [i, tensor] of first.entries()) expect(await take(tensor)).toEqual(await take(second[i]!))
    expect(await countLeaks(once)).toBe(0)
    const stopped = (): void => {
      tf.dispose(encoder.push(signal)!)
      encoder.dispose()
    }
    expect(await countLeaks(stopped)).toBe(0)
    signal.dispose()
    model.dispose()
  })

  it('refuses signals, indices and numbers that cannot be', async () => {
    const model = make()
    const centred = make({ padding: 'centred' })
    const [two, nothing, nan] = [tf.zeros([1, 8, 2]), tf.zeros([1, 0, 1]), tf.fill([1, 8, 1], NaN)]
    for (const signal of [two, nothing, nan, tf.zeros([8])]) {
      expect(() => model.encode(signal)).toThrow(/^signal/)
      expect(() => model.forward(signal)).toThrow(/^signal/)
    }
    const good = tf.zeros([1, 8, 1])
    for (const layers of [0, 4, 1.5]) {
      expect(() => model.encode(good, { layers })).toThrow(/^layers/)
      expect(() => model.encodeStream({ layers })).toThrow(/^layers/)
      expect(() => model.bitrate(8000, { layers })).toThrow(/^layers/)
    }
    for (const rate of [0, -1, NaN, Infinity]) expect(() => model.bitrate(rate)).toThrow(/^sampleRate/)
    const stranger = tf.fill([1, 2, 3], 8, 'int32')
    const wide = tf.zeros([1, 2, 4], 'int32')
    for (const indices of [
      stranger,
      wide,
      tf.zeros([2, 3], 'int32'),
      tf.zeros([1, 2, 3]),
      tf.zeros([1, 0, 3], 'int32'),
    ])
      expect(() => model.decode(indices)).toThrow(/^indices/)
    const indices = model.encode(good)
    for (const length of [0, 9, 1.5]) expect(() => model.decode(indices, { length })).toThrow(/^length/)
    expect(() => centred.encodeStream()).toThrow(/^padding/)
    expect(() => centred.decodeStream()).toThrow(/^padding/)
    expect(() => model.loss(good, { weights: { time: -1 } })).toThrow(/^time/)
    expect(() => model.loss(good, { weights: { volume: 1 } as object })).toThrow(/^volume/)
    const [encoder, decoder] = [model.encodeStream(), model.decodeStream()]
    tf.dispose([encoder.push(good)!, decoder.push(indices)])
    const batch = tf.zeros([2, 8, 1])
    for (const chunk of [batch, two, nan]) expect(() => encoder.push(chunk)).toThrow(/^chunk/)
    for (const other of [stranger, tf.zeros([2, 2, 3], 'int32')]) expect(() => decoder.push(other)).toThrow(/^indices/)
    encoder.dispose()
    decoder.dispose()
    model.dispose()
    centred.dispose()
  })

  it('decodes from the first layers as the quantizer does without the others', async () => {
    const model = make()
    const signal = key(6).normal([2, 12, 1])
    const all = model.encode(signal) as tf.Tensor3D
    for (const layers of [2, 3]) {
      const indices = model.encode(signal, { layers })
      expect(indices.shape).toEqual([2, 3, layers])
      const wanted = tf.tidy(() => {
        const frames = model.quantizer.decode(tf.slice(all, [0, 0, 0], [2, 3, layers]))
        return model.decoder.forward(tf.expandDims(frames, 1))
      })
      expectClose(await take(model.decode(indices)), await take(wanted))
      indices.dispose()
    }
    tf.dispose([signal, all])
    model.dispose()
  })

  const around: [string, () => Quantizer, number[]][] = [
    ['one codebook', () => vq({ dim: 3, codebookSize: 32 }), [5]],
    ['a grid', () => fsq({ levels: [8, 4] }), [5]],
    ['layers of unequal size', () => residualVq({ dim: 2, codebookSize: [16, 4], layers: 2 }), [4, 2]],
    ['projected layers', () => new Projected(residualVq({ dim: 2, codebookSize: 4, layers: 2 }), 5), [2, 2]],
    ['groups', () => groupedResidualVq({ dim: 4, codebookSize: 8, layers: 2, groups: 2 }), [3, 3, 3, 3]],
    ['adapted layers', () => qinco({ dim: 2, codebookSize: 4, layers: 2, depth: 1 }), [2, 2]],
  ]
  it.each(around)('works around any quantizer, and counts its bits: %s', async (_, quantizer, bits) => {
    const model = make({ quantizer: quantizer() })
    const signal = key(8).normal([1, 8, 1])
    const { reconstruction, indices } = model.forward(signal)
    expect(indices.shape).toEqual([1, 2, bits.length])
    expectClose(await take(model.decode(indices)), await take(reconstruction))
    bits.forEach((_each, l) => {
      const wanted = bits.slice(0, l + 1).reduce((a, b) => a + b) * (8000 / 4)
      expect(model.bitrate(8000, { layers: l + 1 })).toBeCloseTo(wanted, 6)
      const first = model.encode(signal, { layers: l + 1 })
      const decoded = model.decode(first)
      expect(decoded.shape).toEqual([1, 8, 1])
      tf.dispose([first, decoded])
    })
    tf.dispose([signal, indices])
    model.dispose()
  })

  it('adds its weighted terms up to the loss, and lets each reach what it is for', async () => {
    const model = make()
    const spectral = new SpectralDistance({ windows: [8, 16] })
    const signal = key(10).normal([2, 24, 1])
    const weights = { time: 2, spectral: 0.5, quantizer: 3 }
    const out = model.loss(signal, { spectral, weights })
    const [loss] = await take(out.loss)
    const { reconstruction, loss: inner } = model.forward(signal, { training: true })
    const time = await take(tf.tidy(() => tf.mean(tf.abs(tf.sub(reconstruction, signal)))))
    const distance = await take(tf.tidy(() => spectral.between(reconstruction, signal)))
    expect(loss).toBeCloseTo(2 * time[0]! + 0.5 * distance[0]! + 3 * (await take(inner))[0]!, 4)
    expect(await take(out.metrics['time']!)).toEqual(time)
    expect(await take(out.metrics['spectral']!)).toEqual(distance)
    tf.dispose([out.metrics, reconstruction] as tf.TensorContainer)

    const trained = valueAndGradients(model.parameters(), () => model.loss(signal, { spectral }))
    for (const [name] of Object.entries(model.parameters())) {
      const gradient = await trained.gradients[name]?.data()
      expect([name, gradient?.some((value) => value !== 0)]).toEqual([name, true])
    }
    tf.dispose([trained.loss, trained.metrics, trained.gradients] as tf.TensorContainer)
    const leaks = await countLeaks(() => {
      const again = valueAndGradients(model.parameters(), () => model.loss(signal, { spectral }))
      return [again.loss, again.metrics, again.gradients] as tf.TensorContainer
    })
    expect(leaks).toBe(0)
    spectral.dispose()
    signal.dispose()
    model.dispose()
  })

  it('leaves nothing behind', async () => {
    const model = make()
    const signal = key(11).normal([2, 10, 1])
    const run = (): unknown => {
      const indices = model.encode(signal, { layers: 2 })
      return [indices, model.decode(indices), model.forward(signal), model.loss(signal)]
    }
    expect(await countLeaks(run)).toBe(0)
    signal.dispose()
    const before = tf.memory().numTensors
    make().dispose()
    expect(tf.memory().numTensors).toBe(before)
    model.dispose()
  })

  it('takes over the state of another, quantizer and all', async () => {
    const [one, other] = [make(), make({ key: key(2), quantizer: layered(key(3)) })]
    expect(Object.keys(one.state()).some((name) => name.startsWith('quantizer.'))).toBe(true)
    other.load(one.state())
    const signal = key(12).normal([1, 13, 1])
    const [a, b] = [one.forward(signal), other.forward(signal)]
    await expectSame('pass', { a: a.reconstruction, i: a.indices }, { a: b.reconstruction, i: b.indices })
    tf.dispose([signal, { ...a }, { ...b }] as unknown as tf.TensorContainer)
    one.dispose()
    other.dispose()
  })

  // The other backend takes ten times as long for the same.
  it.runIf(backend === 'wasm')(
    'raises the signal-to-noise ratio of tones by training, more so with more layers',
    async () => {
      const start = { kMeans: { iterations: 5 }, deadCodes: { threshold: 0.1 } }
      const quantizer = residualVq({
        dim: 4,
        codebookSize: 16,
        layers: 3,
        decay: 0.9,
        ...start,
        dropout: {},
        key: key(20),
      })
      const model = codec({ width: 6, strides: [4], dilations: [1], unitKernelSize: 3, quantizer, key: key(21) })
      // Tones are silent at most frequencies; the logarithm of silence is not what is to be learnt.
      const spectral = new SpectralDistance({ windows: [16], epsilon: 0.1 })
      const heldOut = tones(key(22), 8, 32)
      const ratio = async (layers: number): Promise<number> => {
        const indices = model.encode(heldOut, { layers })
        const decoded = model.decode(indices)
        const [wanted, got] = [Array.from(await heldOut.data()), await take(decoded)]
        indices.dispose()
        return signalToNoise(wanted, got)
      }
      const before = await ratio(3)
      await train(model, {
        steps: 60,
        progress: 'silent',
        optimizer: new AdamW({ learningRate: 4e-3, weightDecay: 0 }),
        data: ({ key: k }) => ({ signal: tones(k, 8, 32) }),
        loss: ({ signal }, { key: k }) => model.loss(signal, { key: k, spectral, weights: { time: 5 } }),
      })
      const [coarse, fine] = [await ratio(1), await ratio(3)]
      expect(fine).toBeGreaterThan(before + 6)
      expect(fine).toBeGreaterThan(coarse)
      spectral.dispose()
      heldOut.dispose()
      model.dispose()
    },
    300_000,
  )
})

describe('codecConfigs', () => {
  beforeAll(async () => void (await useBackend('wasm')))

  it.each(['encodec24', 'dac24'] as const)(
    '%s has 75 frames a second at 24 kHz, neither loud nor silent at first',
    async (name) => {
      const quantizer = residualVq({ dim: 32, codebookSize: 1024, layers: 10 })
      const model = codec({ ...codecConfigs[name], quantizer })
      expect(model.hop).toBe(320)
      expect(model.bitrate(24000)).toBeCloseTo(7500, 6)
      expect(model.bitrate(24000, { layers: 2 })).toBeCloseTo(1500, 6)
      const signal = key(1).normal([1, 700, 1], { standardDeviation: 0.1 })
      const frames = key(2).normal([1, 1, 3, 32])
      const { reconstruction, indices } = model.forward(signal)
      expect(reconstruction.shape).toEqual([1, 700, 1])
      expect(indices.shape).toEqual([1, 3, 10])
      const loudness = async (x: tf.Tensor): Promise<number> => {
        const values = await take(x)
        return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)
      }
      const latents = tf.tidy(() =>
        model.encoder.forward(tf.reshape(tf.slice(signal, [0, 0, 0], [1, 640, 1]), [1, 1, 640, 1])),
      )
      for (const x of [latents, model.decoder.forward(frames)]) {
        const deviation = await loudness(x)
        expect(deviation).toBeGreaterThan(0.01)
        expect(deviation).toBeLessThan(10)
      }
      tf.dispose([signal, frames, reconstruction, indices])
      model.dispose()
    },
  )
})

/** Inputs of a gradient check: one called x, and parameters. */
type Named = Record<string, tf.Tensor> & { x: tf.Tensor }

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { key, LayerNorm, Linear, loadSafetensors, saveSafetensors, Sequential, useBackend } from '@x/core-gpu'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  AffineCodebook,
  bsq,
  ChannelsFirst,
  CodebookQuantizer,
  commitmentLoss,
  EmaCodebook,
  FreeCodebook,
  fromPyTorch,
  fsq,
  groupedResidualVq,
  latentQuantization,
  multiHeadVq,
  Projected,
  type Quantizer,
  residualFsq,
  residualSimvq,
  residualVq,
  RunningAffineCodebook,
  simvq,
  toPyTorch,
  vq,
  vqEma,
} from '../index.ts'

// Each as the one of the same name in peer.py.
const quantizers: Record<string, (seed: number) => Quantizer> = {
  'vq-ema': (seed) => vqEma({ dim: 4, codebookSize: 8, key: key(seed) }),
  'vq-kmeans': (seed) => vqEma({ dim: 4, codebookSize: 8, kMeans: {}, deadCodes: { threshold: 0.5 }, key: key(seed) }),
  'vq-projected': (seed) => new Projected(vqEma({ dim: 4, codebookSize: 8, key: key(seed) }), 6, { key: key(seed) }),
  'vq-layer-norm': (seed) =>
    new Projected(vqEma({ dim: 4, codebookSize: 8, key: key(seed) }), 6, {
      in: new Sequential(new Linear(6, 4, { key: key(seed) }), new LayerNorm(4)),
      key: key(seed),
    }),
  'vq-learnable': (seed) => vq({ dim: 4, codebookSize: 8, key: key(seed) }),
  'vq-cosine': (seed) => vqEma({ dim: 4, codebookSize: 8, metric: 'cosine', key: key(seed) }),
  'vq-shared-heads': (seed) => multiHeadVq({ dim: 8, codebookSize: 8, heads: 2, key: key(seed) }),
  'vq-separate-heads': (seed) =>
    new Projected(multiHeadVq({ dim: 8, codebookSize: 8, heads: 2, separate: true, key: key(seed) }), 6, {
      key: key(seed),
    }),
  'vq-affine': (seed) =>
    new CodebookQuantizer({
      codebook: new RunningAffineCodebook(new EmaCodebook(8, 4, { key: key(seed) })),
      losses: { commitment: commitmentLoss(1) },
    }),
  simvq: (seed) => simvq({ dim: 4, codebookSize: 16, codeDim: 3, bias: false, key: key(seed) }),
  'simvq-bias': (seed) => simvq({ dim: 4, codebookSize: 16, key: key(seed) }),
  'residual-simvq': (seed) => residualSimvq({ dim: 4, codebookSize: 16, layers: 2, bias: false, key: key(seed) }),
  fsq: () => fsq({ levels: [8, 5] }),
  'fsq-projected': (seed) => new Projected(fsq({ levels: [5, 4] }), 6, { key: key(seed) }),
  'fsq-no-bias': (seed) =>
    new Projected(fsq({ levels: [5, 4], codebooks: 2 }), 6, {
      in: new Linear(6, 4, { bias: false, key: key(seed) }),
      out: new Linear(4, 6, { bias: false, key: key(seed + 1) }),
    }),
  'fsq-rotated': (seed) => fsq({ levels: [5, 5, 5], rotate: true, key: key(seed) }),
  'residual-fsq': (seed) => new Projected(residualFsq({ levels: [5, 5], layers: 2 }), 6, { key: key(seed) }),
  'residual-vq': (seed) =>
    new Projected(residualVq({ dim: 4, codebookSize: 8, layers: 3, key: key(seed) }), 6, { key: key(seed) }),
  'residual-vq-shared': (seed) => residualVq({ dim: 4, codebookSize: 8, layers: 3, shared: true, key: key(seed) }),
  'grouped-residual-vq': (seed) => groupedResidualVq({ dim: 8, codebookSize: 8, groups: 2, layers: 2, key: key(seed) }),
}

const golden = fileURLToPath(new URL('./golden/', import.meta.url))
const load = async (name: string): Promise<Record<string, tf.Tensor>> =>
  (await loadSafetensors(join(golden, `${name}.safetensors`))).tensors

/** Some training, so that nothing in the state is as it was made. */
function train(quantizer: Quantizer): void {
  for (let step = 0; step < 3; step++) {
    const z = key(step).normal([64, quantizer.dim])
    tf.dispose([quantizer.quantize(z, { training: true, key: key(step) }), z])
  }
  for (const parameter of Object.values(quantizer.parameters()))
    tf.tidy(() => parameter.assign(tf.add(parameter, key(9).normal(parameter.shape, { standardDeviation: 0.1 }))))
}

const values = (state: Record<string, tf.Tensor>): Record<string, number[]> =>
  Object.fromEntries(Object.entries(state).map(([name, tensor]) => [name, Array.from(tensor.dataSync())]))

describe('states of PyTorch', () => {
  let expected: Record<string, tf.Tensor>
  beforeAll(async () => {
    await useBackend('cpu')
    expected = await load('expected')
  })

  it('are there for every quantizer of this test', () => {
    const files = readdirSync(golden).map((file) => file.replace('.safetensors', ''))
    expect(files.sort()).toEqual([...Object.keys(quantizers), 'expected'].sort())
  })

  it.each(Object.keys(quantizers))('%s: gives the same codes after loading', async (name) => {
    const [state, before] = [await load(name), tf.memory().numTensors]
    const quantizer = quantizers[name]!(1)
    fromPyTorch(quantizer, state)
    const { quantized, indices, ...rest } = quantizer.quantize(expected[`${name}/input`]!)
    expect(Array.from(indices.dataSync())).toEqual(Array.from(expected[`${name}/indices`]!.dataSync()))
    expect(indices.shape).toEqual(expected[`${name}/indices`]!.shape)
    const error = tf.tidy(() => tf.max(tf.abs(tf.sub(quantized, expected[`${name}/quantized`]!))).dataSync()[0])
    expect(error).toBeLessThan(1e-5)
    tf.dispose([quantized, indices, rest])
    quantizer.dispose()
    expect(tf.memory().numTensors).toBe(before)
    tf.dispose(state)
  })

  it.each(Object.keys(quantizers))('%s: is written as it was read', async (name) => {
    const state = await load(name)
    const quantizer = quantizers[name]!(1)
    fromPyTorch(quantizer, state)
    const [before, written] = [tf.memory().numTensors, toPyTorch(quantizer, { transformBias: true })]
    expect(tf.memory().numTensors - before).toBe(Object.keys(written).length)
    expect(Object.keys(written).sort()).toEqual(Object.keys(state).sort())
    for (const [entry, tensor] of Object.entries(written)) {
      expect([entry, tensor.shape, tensor.dtype]).toEqual([entry, state[entry]!.shape, state[entry]!.dtype])
      // A trained codebook in PyTorch has no use for the running sums it carries along.
      if (name === 'vq-learnable' && /cluster_size|embed_avg/.test(entry)) continue
      expect(Array.from(tensor.dataSync()), entry).toEqual(Array.from(state[entry]!.dataSync()))
    }
    tf.dispose([state, written])
    quantizer.dispose()
  })

  it.each(Object.keys(quantizers))('%s: comes back exactly by way of them', (name) => {
    const [from, to] = [quantizers[name]!(1), quantizers[name]!(2)]
    train(from)
    const state = toPyTorch(from, { transformBias: true })
    fromPyTorch(to, state)
    // Of averaged codes PyTorch has one count, which is not where a count of one's own began.
    const { 'revive.hits': _, ...rest } = values(from.state())
    expect(values(to.state())).toMatchObject(rest)
    tf.dispose(state)
    for (const quantizer of [from, to]) quantizer.dispose()
  })
})

describe('fromPyTorch', () => {
  let state: Record<string, tf.Tensor>
  beforeEach(async () => {
    await useBackend('cpu')
    state = await load('residual-vq-shared')
  })
  const shared = (): Quantizer => quantizers['residual-vq-shared']!(1)

  it.each<[string, () => Record<string, tf.Tensor | undefined>, RegExp]>([
    ['lacks one', () => ({ 'layers.0._codebook.embed': undefined }), /entry "layers\.0\._codebook\.embed" is missing/],
    [
      'has another',
      () => ({ 'layers.3._codebook.embed': tf.ones([1]) }),
      /unknown entry "layers\.3\._codebook\.embed"/,
    ],
    [
      'has one of another shape',
      () => ({ 'layers.0._codebook.embed': tf.ones([1, 8, 5]) }),
      /entry "layers\.0\._codebook\.embed" has shape \[1, 8, 5\], expected \[1, 8, 4\]/,
    ],
    [
      'has two values for one codebook',
      () => ({ 'layers.2._codebook.embed': tf.ones([1, 8, 4]) }),
      /entry "layers\.2\._codebook\.embed" differs from "layers\.0\._codebook\.embed"/,
    ],
    [
      'waits for a k-means that never comes',
      () => ({ 'layers.0._codebook.initted': tf.scalar(false), 'layers.1._codebook.initted': tf.scalar(false) }),
      /"layers\.[01]\._codebook\.initted"/,
    ],
  ])('refuses a state that %s, and changes nothing', (_, change, message) => {
    const quantizer = shared()
    const before = values(quantizer.state())
    const changed = Object.entries({ ...state, ...change() }).filter(([, tensor]) => tensor)
    expect(() => fromPyTorch(quantizer, Object.fromEntries(changed) as Record<string, tf.Tensor>)).toThrow(
      expect.objectContaining({ name: 'RangeError', message: expect.stringMatching(message) }),
    )
    expect(values(quantizer.state())).toEqual(before)
  })

  it('takes a shared codebook that is named once', () => {
    const quantizer = shared()
    fromPyTorch(quantizer, Object.fromEntries(Object.entries(state).filter(([name]) => name.startsWith('layers.0.'))))
    expect(Array.from(quantizer.codebook().dataSync())).toEqual(
      Array.from(state['layers.0._codebook.embed']!.dataSync()),
    )
  })

  it('lets k-means still happen where it has not yet', () => {
    const [from, to] = [quantizers['vq-kmeans']!(1), quantizers['vq-kmeans']!(2)]
    fromPyTorch(to, toPyTorch(from))
    expect((to as CodebookQuantizer).waiting).toBe(true)
    train(from)
    fromPyTorch(to, toPyTorch(from))
    expect((to as CodebookQuantizer).waiting).toBe(false)
  })

  it('starts the statistics of affine codes anew where PyTorch has none yet', () => {
    const quantizer = quantizers['vq-affine']!(1)
    train(quantizer)
    const fresh = toPyTorch(quantizer)
    for (const name of ['batch_mean', 'batch_variance']) delete fresh[`_codebook.${name}`]
    for (const name of ['codebook_mean', 'codebook_variance']) {
      fresh[`_codebook.${name}`] = tf.fill([1, 1, 4], NaN)
      fresh[`_codebook.${name}_needs_init`] = tf.scalar(true, 'bool')
    }
    fromPyTorch(quantizer, fresh)
    expect(Array.from(quantizer.codebook().dataSync())).toEqual(Array.from(fresh['_codebook.embed']!.dataSync()))
  })
})

describe('toPyTorch', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  it("refuses the bias of SimVQ's map unless it is 0 or asked for", () => {
    const [quantizer, plain] = [quantizers['simvq-bias']!(1), simvq({ dim: 4, codebookSize: 16, bias: false })]
    expect(() => toPyTorch(quantizer)).toThrow(/no bias.*"code_transform.bias".*`bias: false`.*`transformBias: true`/)
    fromPyTorch(quantizer, toPyTorch(plain))
    expect(Object.keys(toPyTorch(quantizer)).sort()).toEqual(['code_transform.weight', 'frozen_codebook'])
    expect(Array.from(quantizer.codebook().dataSync())).toEqual(Array.from(plain.codebook().dataSync()))
  })

  it('sees through an adapter that changes no tensor', () => {
    const inner = vqEma({ dim: 4, codebookSize: 8 })
    expect(values(toPyTorch(new ChannelsFirst(inner)))).toEqual(values(toPyTorch(inner)))
  })

  it.each<[string, () => Quantizer]>([
    [
      'quantizer.codes',
      () =>
        new Projected(new CodebookQuantizer({ codebook: new AffineCodebook(new FreeCodebook(8, 4)), losses: {} }), 6),
    ],
    ['grid', () => latentQuantization({ levels: [5, 5] })],
    ['grid', () => bsq({ bits: 4 })],
    ['normaliser', () => fsq({ levels: [5, 5], normalise: true })],
  ])('refuses what PyTorch has nothing for, naming it: %s', (part, make) => {
    expect(() => toPyTorch(make())).toThrow(new RegExp(`"${part}" has no counterpart`))
    expect(() => fromPyTorch(make(), {})).toThrow(TypeError)
  })
})

const python = process.env.VQ_PYTORCH_PYTHON

describe('PyTorch', () => {
  it('loads what is written here and gives the same codes', { timeout: 120_000 }, async ({ skip }) => {
    if (!python) return skip('VQ_PYTORCH_PYTHON names no Python that has vector-quantize-pytorch')
    await useBackend('cpu')
    const folder = mkdtempSync(join(tmpdir(), 'vq-pytorch-'))
    try {
      const expected: Record<string, tf.Tensor> = {}
      for (const [name, make] of Object.entries(quantizers)) {
        const quantizer = make(1)
        train(quantizer)
        await saveSafetensors(join(folder, `${name}.safetensors`), toPyTorch(quantizer, { transformBias: true }))
        const input = key(20).normal([2, 10, quantizer.dim])
        const { quantized, indices } = quantizer.quantize(input)
        Object.assign(expected, {
          [`${name}/input`]: input,
          [`${name}/quantized`]: quantized,
          [`${name}/indices`]: indices,
        })
      }
      await saveSafetensors(join(folder, 'expected.safetensors'), expected)
      const script = fileURLToPath(new URL('./peer.py', import.meta.url))
      const printed = execFileSync(python, [script, 'check', folder], { encoding: 'utf8' })
      expect(printed.trim().split('\n').sort()).toEqual(
        Object.keys(quantizers)
          .map((name) => `${name}: ok`)
          .sort(),
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

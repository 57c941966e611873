// Comparisons with the recorded numbers, on the current backend.
import * as tf from '@tensorflow/tfjs-core'
import { rmsNorm, type Module, valueAndGradients } from '@x/core-gpu'
import { expectGolden } from '@x/core-gpu/testing'
import { expect } from 'vitest'
import type { Attention } from '../attention.ts'
import type { StoredBlock, Streams } from '../caches/cache.ts'
import { cacheBytes } from '../caches/cache-bytes.ts'
import { contiguous } from '../caches/contiguous/contiguous.ts'
import type { LatentCache } from '../caches/latent/latent.ts'
import {
  alibi,
  alibiSlopes,
  crossAttention,
  dynamicNtkScaling,
  type FrequencyScaling,
  gqa,
  gqaToMla,
  linearScaling,
  mfa,
  mha,
  mhaToGqa,
  mhaToMla,
  mla,
  mqa,
  none,
  ntkScaling,
  type PositionEncoding,
  rope,
  type RopeOptions,
  scaledFrequencies,
  toHalfLayout,
  toInterleavedLayout,
  tpa,
  voRope,
  yarn,
  yarnMagnitude,
  yarnRamp,
} from '../index.ts'
import type { LatentPath } from '../projections/latent-projection.ts'
import { attendScored, type Scoring, type ScoreMod } from '../scoring/scoring.ts'
import { indexerScores } from '../sparse/dsa/indexer.ts'
import { highest } from '../sparse/highest.ts'
import { latentFp8 } from '../storages/columns/columns.ts'
import { float16 } from '../storages/float16/float16.ts'
import { float32 } from '../storages/float32/float32.ts'
import { fp8 } from '../storages/fp8/fp8.ts'
import { int8 } from '../storages/int8/int8.ts'
import type { Storage } from '../storages/storage.ts'
import { expectRecorded, type GoldenRecord, recordedTensor, type RecordedTensor, recordedValues } from './golden.ts'

/** The numbers of the configuration. */
type Config = Readonly<Record<string, number>>

/** Loads weights by name: the records have them [in, out], layers [out, in]. */
function loadWeights(module: Module, weights: Readonly<Record<string, RecordedTensor>>): void {
  tf.tidy(() => {
    const entries = Object.entries(weights).map(([name, recorded]): [string, tf.Tensor] => {
      const tensor = recordedTensor(recorded)
      return [name, tensor.rank === 2 ? tf.transpose(tensor) : tensor]
    })
    module.load(Object.fromEntries(entries))
  })
}

// --- positions

export async function checkRope(record: GoldenRecord): Promise<void> {
  if (record.id === 'rope-relative') return checkRelative(record)
  if (record.id === 'rope-layout-conversion') return checkLayouts(record)
  const { d, rotaryDim, rotaryAt, layout, theta } = record.config as unknown as Config & Required<RopeOptions> & { rotaryAt: 'first' } // prettier-ignore
  const scaling = scalingOf(record.config)
  const frequencies = scaledFrequencies(rotaryDim!, theta, scaling)
  if (record.expected['invFreq']) await expectFrequencies(record, frequencies)
  expect(d).toBe(record.inputs['x']!.shape.at(-1))
  const encoding = rope({ theta, layout, dims: rotaryDim!, at: rotaryAt, ...(scaling && { scaling }) })
  const x = recordedTensor<tf.Rank.R4>(record.inputs['x']!)
  const y = encoding.rotate!(x, Array.from(recordedValues(record.inputs['positions']!)))
  await expectRecorded(record, 'y', y)
  tf.dispose([x, y])
}

function scalingOf(config: Readonly<Record<string, unknown>>): FrequencyScaling | undefined {
  const { scaling, factor, maxPosition, seqLen, originalMaxPosition, betaFast, betaSlow } = config as Config & {
    scaling?: unknown
  }
  if (scaling === undefined) return undefined
  if (scaling === 'linear') return linearScaling(factor!)
  if (scaling === 'ntk') return ntkScaling(factor!)
  if (scaling === 'dynamic-ntk') return dynamicNtkScaling({ factor: factor!, originalLength: maxPosition!, length: seqLen! }) // prettier-ignore
  if (scaling === 'yarn') return yarn({ factor: factor!, originalLength: originalMaxPosition!, betaFast: betaFast!, betaSlow: betaSlow! }) // prettier-ignore
  throw new RangeError(`scaling: unknown "${String(scaling)}"`)
}

/** A product depends on the difference of the positions, wherever they are. */
async function checkRelative(record: GoldenRecord): Promise<void> {
  const { theta } = record.config as Config
  const [q, k] = ['q', 'k'].map(
    (name) => tf.reshape(recordedTensor(record.inputs[name]!), [1, 1, 1, -1]) as tf.Tensor4D,
  )
  for (const layout of ['interleaved', 'half'] as const) {
    const { rotate } = rope({ theta: theta!, layout })
    const products = [5, 105, 10_005, 100_005].map((position) =>
      tf.sum(tf.mul(rotate!(q!, [position]), rotate!(k!, [position - 3]))),
    )
    await expectRecorded(record, layout, tf.stack(products))
  }
}

async function checkLayouts(record: GoldenRecord): Promise<void> {
  const { position } = record.config as Config
  const x = recordedTensor<tf.Rank.R2>(record.inputs['x']!)
  const at = (y: tf.Tensor, layout: 'half' | 'interleaved'): tf.Tensor =>
    tf.reshape(rope({ layout }).rotate!(tf.reshape(y, [1, 1, 1, -1]), [position!]), x.shape)
  await expectRecorded(record, 'interleaved', at(x, 'interleaved'))
  const reordered = toHalfLayout(tf.squeeze(x, [0]))
  await expectRecorded(record, 'halfOfPermuted', at(reordered, 'half'))
  await expectRecorded(record, 'perm', toHalfLayout(tf.range(0, 8)))
  expect(Array.from(await toInterleavedLayout(reordered).data())).toEqual(Array.from(await x.data()))
}

async function expectFrequencies(record: GoldenRecord, got: Float64Array): Promise<void> {
  const wanted = recordedValues(record.expected['invFreq']!)
  expect(got).toHaveLength(wanted.length)
  wanted.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(1e-7 * value))
}

export async function checkYarn(record: GoldenRecord): Promise<void> {
  const { d, theta, factor, originalMaxPosition, betaFast, betaSlow, qkNope, qkRope } = record.config as Config
  if (record.id === 'mla-softmax-scale') {
    const plain = (qkNope! + qkRope!) ** -0.5
    await expectGolden('plain', plain, recordedValues(record.expected['plain']!)[0]!, { abs: 1e-7, rel: 0 })
    recordedValues(record.expected['yarn']!).forEach((scale, i) => {
      const mscale = (record.config['mscale'] as number[])[i]!
      const { scoreScale } = yarn({ factor: factor!, originalLength: 4096, mscale, growth: 'scores' })
      expect(plain * scoreScale!).toBeCloseTo(scale, 7)
    })
    return
  }
  const options = { factor: factor!, originalLength: originalMaxPosition!, betaFast: betaFast!, betaSlow: betaSlow! }
  await expectFrequencies(record, scaledFrequencies(d!, theta!, yarn(options)))
  const [low, high] = yarnRamp({ dims: d!, theta: theta! }, originalMaxPosition!, betaFast, betaSlow)
  expect([low, high]).toEqual(['low', 'high'].map((name) => recordedValues(record.expected[name]!)[0]))
  recordedValues(record.expected['mscale']!).forEach((value, i) =>
    expect(yarnMagnitude(factor!, (record.config['mscaleFor'] as number[])[i])).toBeCloseTo(value, 7),
  )
}

export async function checkVoRope(record: GoldenRecord): Promise<void> {
  const { layout, theta } = record.config as unknown as Required<RopeOptions>
  const encoding = voRope({ layout, theta })
  const [q, k, v] = tensorsOf(record)
  for (const shift of [0, 1000]) {
    const positions = Array.from({ length: q!.shape[2] }, (_, i) => shift + i)
    const turn = (x: tf.Tensor4D): tf.Tensor4D => encoding.rotate!(x, positions)
    const { output: o } = attendScored(turn(q!), turn(k!), turn(v!), scoringOf(record), { training: false })
    await expectRecorded(record, 'o', encoding.rotate!(o, positions, { inverse: true }))
  }
}

export async function checkQkNorm(record: GoldenRecord): Promise<void> {
  const { layout } = record.config as unknown as Required<RopeOptions>
  const [q, k, v] = tensorsOf(record)
  const [gq, gk] = ['gq', 'gk'].map((name) => recordedTensor(record.inputs[name]!))
  const ready = (x: tf.Tensor4D, scale: tf.Tensor): tf.Tensor4D =>
    rope({ layout }).rotate!(rmsNorm(x, { scale }) as tf.Tensor4D, [0, 1, 2, 3])
  await expectRecorded(
    record,
    'o',
    attendScored(ready(q!, gq!), ready(k!, gk!), v!, scoringOf(record), { training: false }).output,
  )
}

// --- scores

function tensorsOf({ inputs }: GoldenRecord): tf.Tensor4D[] {
  return ['q', 'k', 'v'].map((name) => recordedTensor<tf.Rank.R4>(inputs[name]!))
}

/** How a record scores, from the words of its mask. */
function scoringOf({ config, inputs, id }: GoldenRecord): Scoring {
  const { mask = 'none', scale, softcap } = config as { mask?: string; scale?: unknown; softcap?: number | null }
  const width = /W=(\d+)/.exec(mask)?.[1]
  const sides = /left=(\d+) right=(\d+)/.exec(mask)
  const causal = mask.startsWith('causal') || id.startsWith('streaming')
  return {
    scale: typeof scale === 'number' ? scale : inputs['q']!.shape.at(-1)! ** -0.5,
    causal,
    window: width ? Number(width) : sides ? [Number(sides[1]), Number(sides[2])] : undefined,
    keepFirst: id.startsWith('streaming') ? 2 : 0,
    softcap: softcap ?? undefined,
    dropout: 0,
    encoding: config['alibi'] ? alibi() : none(),
  }
}

/** Attention as the engine scores it: by kernels, and by plain operations. */
export async function checkScores(record: GoldenRecord): Promise<void> {
  const [q, k, v] = tensorsOf(record) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D]
  const { inputs, expected } = record
  const as4D = (name: string): tf.Tensor4D | undefined => {
    const recorded = inputs[name]
    if (!recorded) return undefined
    const shape = [1, 1, 1, 1].concat(recorded.shape).slice(-4) as [number, number, number, number]
    return tf.reshape(recordedTensor(recorded), shape)
  }
  // One record aligns its mask otherwise.
  const [L, S] = [q.shape[2], k.shape[2]]
  const topLeft = record.config['mask'] === 'causal-top-left'
  const mask = topLeft
    ? tf.tensor4d(
        Array.from({ length: L * S }, (_, at) => Number(at % S <= Math.floor(at / S))),
        [1, 1, L, S],
      )
    : as4D('mask')
  const sinks = inputs['sink'] && recordedTensor<tf.Rank.R1>(inputs['sink'])
  const scoring = { ...scoringOf(record), ...(topLeft && { causal: false }) }
  const call = { mask, bias: as4D('bias'), sinks, training: false }
  const identity: ScoreMod = (scores) => tf.clone(scores)
  // Plain operations are the same everywhere, and a software adapter is slow at them.
  const isSlow = tf.getBackend() === 'webgpu'
  const ways = [['kernels', undefined], ...(isSlow ? [] : [['plain operations', identity] as const])] as const
  for (const [way, scoreMod] of ways)
    // prettier-ignore
    await expectRecorded(record, 'o', attendScored(q, k, v, { ...scoring, scoreMod }, call).output).catch((error: Error) => {
      throw new Error(`${way}: ${error.message}`, { cause: error })
    })
  if (expected['slopes'])
    recordedValues(expected['slopes']).forEach((slope, s) => expect(alibiSlopes(q.shape[1])[s]).toBeCloseTo(slope, 9))
  if (isSlow && !['gqa', 'window', 'sinks'].includes(record.group)) return
  const lengths = Array.from({ length: q.shape[0] }, () => S)
  const block = { slots: S, positions: 0, until: lengths, read: () => ({ k, v }) }
  await expectRecorded(record, 'o', attendScored(q, k, v, scoring, { ...call, stored: { block, lengths } }).output)
}

/** Gradients of attention, by kernels and by plain operations. */
export async function checkScoreGradients(record: GoldenRecord): Promise<void> {
  const { sink } = record.inputs
  const names = ['q', 'k', 'v']
  const parameters = Object.fromEntries([
    ...names.map((name) => [name, tf.variable(recordedTensor(record.inputs[name]!))]),
    ...(sink ? [['sinks', tf.variable(recordedTensor(sink))]] : []),
  ]) as Record<string, tf.Variable>
  const upstream = recordedTensor(record.inputs['dO']!)
  const scoring = scoringOf(record)
  const identity: ScoreMod = (scores) => tf.clone(scores)
  for (const scoreMod of tf.getBackend() === 'webgpu' ? [undefined] : [undefined, identity]) {
    const { gradients } = valueAndGradients(parameters, () => {
      const [q, k, v] = names.map((name) => parameters[name]! as unknown as tf.Tensor4D)
      const sinks = parameters['sinks'] as unknown as tf.Tensor1D | undefined
      const o = attendScored(q!, k!, v!, { ...scoring, scoreMod }, { sinks, training: true }).output
      return { loss: tf.sum(tf.mul(o, upstream)) }
    })
    for (const name of Object.keys(parameters)) {
      await expectRecorded(record, name === 'sinks' ? 'dsink' : `d${name}`, gradients[name]!)
    }
  }
}

// --- modules

const projectionNames = {
  wq: 'projection.q.weight',
  wk: 'projection.k.weight',
  wv: 'projection.v.weight',
  wo: 'out.weight',
}

interface ModuleConfig {
  readonly dim: number
  readonly h: number
  readonly g: number
  readonly dh: number
  readonly mask: 'none' | 'causal'
  readonly rope: 'none' | 'half' | 'interleaved'
  readonly theta: number
  readonly bias: boolean
  readonly qkNorm: boolean
  readonly qkNormEps: number
  readonly gate: 'none' | 'element' | 'head'
}

export async function checkModule(record: GoldenRecord): Promise<void> {
  const { dim, h, g, dh, mask, theta, bias, qkNorm, qkNormEps, gate, rope: layout } = record.config as unknown as ModuleConfig // prettier-ignore
  const common = { dim, heads: h, groups: g, headDim: dh, bias, qkNorm, normEpsilon: qkNormEps, ...(gate !== 'none' && { gate }) } // prettier-ignore
  const { inputs } = record
  const names: Record<string, string> = {
    ...projectionNames,
    bq: 'projection.q.bias',
    bk: 'projection.k.bias',
    bv: 'projection.v.bias',
    bo: 'out.bias',
    gq: 'projection.qNorm.weight',
    gk: 'projection.kNorm.weight',
    wg: 'gate.weight',
  }
  const x = recordedTensor<tf.Rank.R3>(inputs['x']!)
  if (inputs['context']) {
    const cross = crossAttention(common)
    loadWeights(cross, renamed(inputs, names, 'attention.'))
    const context = recordedTensor<tf.Rank.R3>(inputs['context'])
    const [direct, cache] = [cross.forward(x, context), cross.remember(context)]
    await expectRecorded(record, 'y', direct)
    const remembered = cross.forward(x, cache)
    await expectRecorded(record, 'y', remembered)
    tf.dispose([x, context, direct, remembered])
    cache.dispose()
    cross.dispose()
    return
  }
  const positions: PositionEncoding = layout === 'none' ? none() : rope({ layout, theta })
  const module = gqa({ ...common, causal: mask === 'causal', positions })
  loadWeights(module, renamed(inputs, names))
  await expectModule(record, module, x, names)
  x.dispose()
  module.dispose()
}

/** Recorded weights under the names of a module. */
function renamed(
  inputs: GoldenRecord['inputs'],
  names: Readonly<Record<string, string>>,
  prefix = '',
): Record<string, RecordedTensor> {
  return Object.fromEntries(
    Object.entries(inputs).flatMap(([name, recorded]) => (name in names ? [[prefix + names[name]!, recorded]] : [])),
  )
}

/** Output and, where they are recorded, the gradients of a module. */
async function expectModule(
  record: GoldenRecord,
  module: Attention,
  x: tf.Tensor3D,
  names: Readonly<Record<string, string>>,
): Promise<void> {
  const y = module.forward(x)
  await expectRecorded(record, 'y', y)
  y.dispose()
  if (!record.inputs['dy']) return
  const dy = recordedTensor(record.inputs['dy'])
  const input = tf.variable(x)
  const { gradients, loss } = valueAndGradients({ x: input, ...module.parameters() }, () => ({
    loss: tf.sum(tf.mul(module.forward(input as unknown as tf.Tensor3D), dy)),
  }))
  await expectRecorded(record, 'd_x', gradients['x']!)
  for (const [name, path] of Object.entries(names)) {
    if (!(`d_${name}` in record.expected)) continue
    const gradient = gradients[path]!
    const turned = gradient.rank === 2 ? tf.transpose(gradient) : tf.clone(gradient)
    await expectRecorded(record, `d_${name}`, turned)
    turned.dispose()
  }
  tf.dispose([dy, input, loss, gradients])
}

interface MlaConfig {
  readonly dim: number
  readonly h: number
  readonly kvLoraRank: number
  readonly qLoraRank: number
  readonly qkNope: number
  readonly qkRope: number
  readonly vHead: number
  readonly theta: number
  readonly normEps: number
  readonly yarn?: { factor: number; originalMaxPosition: number; mscale: number; betaFast: number; betaSlow: number }
  readonly cachedDecodeChunks?: readonly number[]
}

const mlaNames = {
  wq: 'projection.q.weight',
  wqA: 'projection.qDown.weight',
  qNorm: 'projection.qNorm.weight',
  wqB: 'projection.qUp.weight',
  wkvA: 'projection.kvDown.weight',
  kvNorm: 'projection.kvNorm.weight',
  wkvB: 'projection.kvUp.weight',
  wo: 'out.weight',
}

/** By either path, at once and through the cache, gradients too. */
export async function checkMla(record: GoldenRecord): Promise<void> {
  const c = record.config as unknown as MlaConfig
  const x = recordedTensor<tf.Rank.R3>(record.inputs['x']!)
  const [batch, length] = x.shape
  for (const path of ['expanded', 'absorbed'] as const) {
    const module = mlaOf(c, path)
    loadWeights(module, renamed(record.inputs, mlaNames))
    await expectModule(record, module, x, mlaNames)
    for (const chunks of [c.cachedDecodeChunks ?? Array.from({ length }, () => 1), [2, length - 2]]) {
      const cache = module.createCache({ batch, capacity: length + 3 }) as LatentCache
      const y = inChunks(module, x, chunks, cache)
      await expectRecorded(record, 'y', y)
      const { latent, key } = cache.exportParts()
      await expectRecorded(record, 'latent', tf.squeeze(latent, [1]))
      await expectRecorded(record, 'kRope', tf.squeeze(key, [1]))
      tf.dispose([y, latent, key])
      cache.dispose()
    }
    module.dispose()
  }
  x.dispose()
}

function mlaOf(c: MlaConfig, path: LatentPath | 'auto'): Attention {
  const scaling = c.yarn && yarn({ factor: c.yarn.factor, originalLength: c.yarn.originalMaxPosition, betaFast: c.yarn.betaFast, betaSlow: c.yarn.betaSlow, mscale: c.yarn.mscale, growth: 'scores' }) // prettier-ignore
  return mla({
    dim: c.dim,
    heads: c.h,
    kvRank: c.kvLoraRank,
    queryRank: c.qLoraRank,
    nopeDim: c.qkNope,
    ropeDim: c.qkRope,
    valueDim: c.vHead,
    normEpsilon: c.normEps,
    path,
    positions: rope({ layout: 'interleaved', theta: c.theta, ...(scaling && { scaling }) }),
  })
}

/** A sequence through a cache, in chunks of these lengths. */
function inChunks(
  module: Attention,
  x: tf.Tensor3D,
  chunks: readonly number[],
  cache: ReturnType<Attention['createCache']>,
): tf.Tensor3D {
  return tf.tidy(() => {
    let from = 0
    const outputs = chunks.map((count) => {
      const y = module.forward(tf.slice(x, [0, from, 0], [-1, count, -1]), { cache })
      from += count
      return y
    })
    return outputs.length === 1 ? outputs[0]! : tf.concat(outputs, 1)
  })
}

// --- variants

export async function checkMfa(record: GoldenRecord): Promise<void> {
  const { h, headDim, qRank, dim } = record.config as Config
  const module = mfa({ dim: dim!, heads: h!, headDim: headDim!, queryRank: qRank!, positions: rope() })
  const names = {
    sq: 'projection.q.0.weight',
    qs: 'projection.q.1.weight',
    sk: 'projection.k.weight',
    sv: 'projection.v.weight',
    wo: 'out.weight',
  }
  await expectVariant(record, module, names)
}

export async function checkTpa(record: GoldenRecord): Promise<void> {
  const { h, headDim, dim } = record.config as Config
  const ranks = record.config['ranks'] as [number, number, number]
  const module = tpa({ dim: dim!, heads: h!, headDim: headDim!, ranks, positions: rope() })
  const names = {
    aq: 'projection.qHeads.weight',
    bq: 'projection.q.weight',
    ak: 'projection.kHeads.weight',
    bk: 'projection.k.weight',
    av: 'projection.vHeads.weight',
    bv: 'projection.v.weight',
    wo: 'out.weight',
  }
  await expectVariant(record, module, names)
}

async function expectVariant(
  record: GoldenRecord,
  module: Attention,
  names: Readonly<Record<string, string>>,
): Promise<void> {
  loadWeights(module, renamed(record.inputs, names))
  const x = recordedTensor<tf.Rank.R3>(record.inputs['x']!)
  await expectModule(record, module, x, names)
  const cache = module.createCache({ batch: x.shape[0], capacity: x.shape[1] })
  const y = inChunks(module, x, [1, x.shape[1] - 1], cache)
  await expectRecorded(record, 'y', y)
  tf.dispose([x, y])
  cache.dispose()
  module.dispose()
}

// --- conversions

export async function checkToMla(record: GoldenRecord): Promise<void> {
  const { h, g, dh, dim } = record.config as Config
  const source = gqa({ dim: dim!, heads: h!, groups: g!, headDim: dh! })
  loadWeights(source, renamed(record.inputs, projectionNames))
  const x = recordedTensor<tf.Rank.R3>(record.inputs['x']!)
  const converted = gqaToMla(source)
  const up = tf.transpose(converted.state()['projection.kvUp.weight']!)
  await expectRecorded(record, 'wkvB', up)
  for (const chunks of [[x.shape[1]], [1, x.shape[1] - 1]]) {
    const cache = converted.createCache({ batch: 1, capacity: x.shape[1] }) as LatentCache
    const y = inChunks(converted, x, chunks, cache)
    await expectRecorded(record, 'y', y)
    const { tokens } = cache.export()
    await expectRecorded(record, 'latent', tf.squeeze(tokens!, [1]))
    tf.dispose([y, tokens!])
    cache.dispose()
  }
  const [before, after] = [source.forward(x), converted.forward(x)]
  await expectRecorded(record, 'y', before)
  await expectRecorded(record, 'y', after)
  tf.dispose([x, up, before, after])
  source.dispose()
  converted.dispose()
}

export async function checkPooling(record: GoldenRecord): Promise<void> {
  const { h, g, dh, dim } = record.config as Config
  const source = mha({ dim: dim!, heads: h!, headDim: dh! })
  const { 'projection.k.weight': _, ...others } = source.state()
  const wk = recordedTensor<tf.Rank.R2>(record.inputs['wk']!)
  source.load({ ...others, 'projection.k.weight': tf.transpose(wk) })
  const pooled = mhaToGqa(source, { groups: g! })
  await expectRecorded(record, 'wkPooled', tf.transpose(pooled.state()['projection.k.weight']!))
  source.dispose()
  pooled.dispose()
}

export async function checkJointSvd(record: GoldenRecord): Promise<void> {
  const { rank } = record.config as Config
  const [rows, columns] = record.inputs['w']!.shape as [number, number]
  const w = recordedTensor<tf.Rank.R2>(record.inputs['w']!)
  // As one head of keys and values, each half as wide.
  const source = mha({ dim: rows, heads: 1, headDim: columns / 2 })
  const [wk, wv] = tf.split(tf.transpose(w), 2, 0) as [tf.Tensor, tf.Tensor]
  source.load({ ...source.state(), 'projection.k.weight': wk, 'projection.v.weight': wv })
  const { attention, singularValues, error } = await mhaToMla(source, { rank: rank! })
  await expectRecorded(record, 'singularValues', tf.tensor1d(Float32Array.from(singularValues)))
  const state = attention.state()
  const product = tf.matMul(
    state['projection.kvUp.weight'] as tf.Tensor2D,
    state['projection.kvDown.weight'] as tf.Tensor2D,
  )
  const lost = tf.norm(tf.sub(product, tf.concat([wk, wv], 0)))
  await expectRecorded(record, 'frobeniusErrorRank3', lost)
  expect(error).toBeCloseTo((await lost.data())[0]!, 5)
  source.dispose()
  attention.dispose()
}

/** What a cache of one token holds, for the models whose shapes are published. */
export async function checkBytes(record: GoldenRecord): Promise<void> {
  const rows = record.expected['rows'] as unknown as KvBytesRow[]
  const made: Record<string, () => Attention> = {
    'mha(128x128) hypothetical': () => mha({ dim: 1, heads: 128, headDim: 128 }),
    'gqa-8 hypothetical': () => gqa({ dim: 1, heads: 128, groups: 8, headDim: 128 }),
    'gqa-8': () => gqa({ dim: 1, heads: 64, groups: 8, headDim: 128 }),
    'mqa hypothetical': () => mqa({ dim: 1, heads: 128, headDim: 128 }),
    'expanded k192+v128': () => mha({ dim: 1, heads: 128, headDim: 192, valueDim: 128 }),
    mla: () => mla({ dim: 1, heads: 2, kvRank: 512, nopeDim: 128, ropeDim: 64 }),
    'mla f32': () => mla({ dim: 1, heads: 3, kvRank: 512, nopeDim: 128, ropeDim: 64 }),
    'mla fp8 cache (512 e4m3 + 4 f32 scales + 64 bf16)': () =>
      mla({ dim: 1, heads: 2, kvRank: 512, nopeDim: 128, ropeDim: 64 }),
  }
  expect(rows.length).toBeGreaterThanOrEqual(10)
  for (const { kind, layers, elementsPerTokenPerLayer, bytesPerTokenPerLayer, bytesAt131072Tokens } of rows) {
    const attention = made[kind]!() as Attention & { projection: { streams: Streams } }
    const storage = kind.includes('fp8') ? latentFp8() : kind.includes('f32') ? float32() : float16()
    expect(bytesOf(attention, float32())).toBe(4 * elementsPerTokenPerLayer)
    expect(bytesOf(attention, storage)).toBe(bytesPerTokenPerLayer)
    const { streams } = attention.projection
    expect(layers * cacheBytes(streams, { batch: 1, capacity: 131_072, storage })).toBe(bytesAt131072Tokens)
    attention.dispose()
  }
}

interface KvBytesRow {
  readonly kind: string
  readonly layers: number
  readonly elementsPerTokenPerLayer: number
  readonly bytesPerTokenPerLayer: number
  readonly bytesAt131072Tokens: number
}

/** Of one token, counted in the backend's memory, not by the cache. */
function bytesOf(attention: Attention, storage: Storage): number {
  const before = tf.memory().numBytes
  const cache = attention.createCache({ batch: 3, capacity: 5, storage })
  const bytes = tf.memory().numBytes - before
  expect(cache.bytes).toBe(bytes)
  cache.dispose()
  expect(tf.memory().numBytes).toBe(before)
  return bytes / (3 * 5)
}

// --- storages

/** How a record keeps its numbers. */
function storageOf({ id }: GoldenRecord): Storage {
  if (id.includes('f16')) return float16()
  const group = /group-(\d+)/.exec(id)?.[1]
  const options = group ? { group: Number(group) } : {}
  return id.includes('fp8') ? fp8(options) : int8(options)
}

export async function checkStorage(record: GoldenRecord): Promise<void> {
  const storage = storageOf(record)
  const { q, byte, packed, scale } = record.expected
  const x = recordedTensor(record.inputs['x']!)
  const width = x.shape.at(-1)!
  const parts = storage.encode(tf.reshape(x, [1, 1, -1, width]))
  await expectRecorded(record, 'dequant', tf.reshape(storage.decode(parts, width), x.shape))
  if (scale) await expectRecorded(record, 'scale', tf.reshape(parts['scales']!, [...scale.shape]))
  const { buffer, byteOffset, byteLength } = (await (parts['codes'] ?? parts['halves']!).data()) as Int32Array
  const bytes = buffer.slice(byteOffset, byteOffset + byteLength)
  const codes = q ? new Int8Array(bytes) : byte ? new Uint8Array(bytes) : new Uint32Array(bytes)
  expect(Array.from(codes)).toEqual(Array.from(recordedValues((q ?? byte ?? packed)!)))
}

/** Attention over keys and values that a cache keeps in bytes. */
export async function checkStoredAttention(record: GoldenRecord): Promise<void> {
  const [q, k, v] = tensorsOf(record) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D]
  const [batch, heads, keys, width] = k.shape
  const streams = { k: [heads, width], v: [heads, width] } as const
  const cache = contiguous().create(streams, { batch, capacity: keys + 2, storage: int8() })
  cache.append({ k, v })
  const [block] = cache.blocks() as [StoredBlock]
  const stored = block.read()
  const call = { training: false, stored: { block, lengths: cache.lengths } }
  await expectRecorded(record, 'o', attendScored(q, stored['k']!, stored['v']!, scoringOf(record), call).output)
  cache.dispose()
}

// --- choosing tokens

export async function checkIndexer(record: GoldenRecord): Promise<void> {
  const [q, k, w] = ['qI', 'kI', 'w'].map((name) => tf.expandDims(recordedTensor(record.inputs[name]!), 0))
  const scores = indexerScores(q as tf.Tensor4D, k as tf.Tensor3D, w as tf.Tensor3D)
  await expectRecorded(record, 'score', tf.squeeze(scores, [0]))
  const { topk } = record.config as { topk: number }
  const chosen = await highest(tf.expandDims(tf.maximum(scores, -1e30), 0) as tf.Tensor4D, topk).data()
  const keys = k!.shape[1]!
  const rows = Array.from({ length: q!.shape[1]! }, (_, row) =>
    Array.from({ length: keys }, (_, at) => at).filter((at) => chosen[row * keys + at]),
  )
  expect(rows.flat()).toEqual(Array.from(recordedValues(record.expected['topkSorted']!)))
}

import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'
import type { AttendGradientInputs } from './attend.ts'
import { type AttendAttributes, type AttendInputs, type AttendSizes, attendSizes } from './contract.ts'

// Keys and values are packed this many bytes at a time, but at least those of one head.
const packedBytes = 1 << 22

/** What the pack reads of a problem: the fields of Problem in assembly/attend.ts, in order, of 4 bytes each. */
const fields = [
  'q k v bias mask sinks lengths output logSumExp dOutput dLogSumExp shift delta dq dk dv dBias packed',
  'group head member heads groups queries keys width valueWidth left right scale softcap',
  'biasBatch biasHead biasQuery biasKey maskBatch maskHead maskQuery maskKey',
].flatMap((line) => line.split(' '))
const problemBytes = 256

type Problem = Record<string, number>

/**
 * XAttend and XAttendCached: the flash algorithm on the register tile of GEMM, in 6 x 8 scores (arXiv 2205.14135).
 *
 * Floor: 2 B h (d + dv) operations and one exp for each pair of a query and a key it sees; 4 B (h L (d + dv + 1) +
 * g S (d + dv)) bytes. Working memory: keys and values of some heads once more, 4 MiB or one head's, and for each thread
 * 64 queries' and outputs and 48 x 8 scores. Pairs that causality and window rule out cost nothing beyond 6 x 8 blocks.
 * Reached by two threads of an EPYC: 64 % of the largest rate of a product, causal.
 */
export function attendWasm(pack: Pack, inputs: AttendInputs, attributes: AttendAttributes): tf.TensorInfo[] {
  const sizes = attendSizes(inputs.q, inputs.k, inputs.v)
  const { batch, heads, groups, queries, keys, width, valueWidth } = sizes
  const output = pack.output([batch, heads, queries, valueWidth])
  const logSumExp = pack.output([batch, heads, queries])
  const problem = {
    ...problemOf(pack, inputs, sizes, attributes),
    output: pack.address(output),
    logSumExp: pack.address(logSumExp),
  }
  const bytes = pack.run.attendPackedBytes(keys, width, valueWidth)
  const blocks = pack.run.attendBlocks(queries)
  const perGroup = heads / groups
  const grain = grainOf((queries / blocks) * keys * (width + valueWidth), 1)
  const together = atATime(batch * groups, bytes)
  const scratch = pack.run.attendScratch(width, valueWidth)
  const at = pack.scratch(problemBytes + together * bytes)
  for (let group = 0; group < batch * groups; group += together) {
    const count = Math.min(together, batch * groups - group)
    writeProblem(pack, at, { ...problem, packed: at + problemBytes, group, head: group * perGroup })
    pack.parallel('attendPack', count, grainOf(keys * (width + valueWidth), 1), 0, at)
    pack.parallel('attendRows', count * perGroup * blocks, grain, scratch, at)
  }
  return [output, logSumExp]
}

// From here on a panel of 8 queries pays for packing the keys.
const manyQueries = 8

/**
 * XAttendCached: for few queries, spans of keys for all query heads of a group, then merged; for more, as XAttend.
 *
 * Floor, for few queries: 4 B g length (d + dv) bytes; 2 B h L length (d + dv) operations. Working memory: results of
 * each span of 256 keys, 4 B h L (dv + 2) bytes.
 */
export function attendCachedWasm(pack: Pack, inputs: AttendInputs, attributes: AttendAttributes): tf.TensorInfo[] {
  const sizes = attendSizes(inputs.q, inputs.k, inputs.v)
  const { batch, heads, groups, queries, keys, width, valueWidth } = sizes
  if (queries >= manyQueries) return attendWasm(pack, inputs, attributes)
  const output = pack.output([batch, heads, queries, valueWidth])
  const logSumExp = pack.output([batch, heads, queries])
  const rows = (heads / groups) * queries
  const spans = pack.run.attendSpans(longest(pack, inputs.lengths, batch, keys))
  const at = pack.scratch(problemBytes + batch * groups * spans * pack.run.attendSpanBytes(rows, valueWidth))
  const problem = problemOf(pack, inputs, sizes, attributes)
  const results = { output: pack.address(output), logSumExp: pack.address(logSumExp), packed: at + problemBytes }
  writeProblem(pack, at, { ...problem, ...results })
  const grain = grainOf((rows * keys * (width + valueWidth)) / spans, 1)
  pack.parallel('attendSpan', batch * groups * spans, grain, pack.run.attendSpanScratch(rows), at, spans)
  pack.parallel('attendMerge', batch * heads * queries, grainOf(spans * valueWidth, 1), 0, at, spans)
  return [output, logSumExp]
}

/** The greatest length, of what the cache can hold. */
function longest(pack: Pack, lengths: tf.TensorInfo | undefined, batch: number, keys: number): number {
  if (!lengths) return keys
  const given = new Int32Array(pack.backend.wasm.HEAPU8.buffer, pack.address(lengths), batch)
  return Math.min(keys, Math.max(0, ...given))
}

// So many groups keep the threads busy with a group each, which may take so much working memory.
const manyGroups = 8
const groupBytes = 1 << 24

/**
 * XAttendGradient: a group to a thread where there are many and no bias, else scores once for dq and once more for dk and
 * dv; no two threads ever add to one number.
 *
 * Floor: 2 B h (3 d + 2 dv) operations and one exp for each pair of a query and a key it sees, or, the scores twice,
 * 2 B h (4 d + 3 dv) and two; 4 B (h L (3 d + 2 dv + 2) + 2 g S (d + dv)) bytes. Working memory: 8 B h L bytes, and
 * 4 S (5 d + 2 dv) for each thread, or the operands of some heads, 4 MiB or one head's. A gradient of the bias is added up
 * head by head. Reached by two threads of an EPYC: 72 % of the largest rate of a product, with the forward pass.
 */
export function attendGradientWasm(
  pack: Pack,
  inputs: AttendGradientInputs,
  attributes: AttendAttributes,
): tf.TensorInfo[] {
  const sizes = attendSizes(inputs.q, inputs.k, inputs.v)
  const { batch, heads, groups, queries, keys, width, valueWidth } = sizes
  const [dq, dk, dv] = [inputs.q, inputs.k, inputs.v].map(({ shape }) => pack.output(shape)) as [
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo,
  ]
  const dBias = inputs.bias && pack.output(inputs.bias.shape)
  if (dBias) pack.clear(dBias)
  const keyBytes = pack.run.attendPackedKeys(keys, width, valueWidth)
  const queryBytes = pack.run.attendPackedQueries(queries, width, valueWidth)
  const biasAxis = biasAxisOf(inputs.bias)
  const together = {
    keys: biasAxis === 'queries' ? 1 : atATime(batch * groups, keyBytes),
    queries: biasAxis === 'keys' || biasAxis === 'none' ? 1 : atATime(batch * groups, queryBytes),
  }
  const byGroup = pack.run.attendGroupScratch(keys, width, valueWidth)
  const whole = !inputs.bias && batch * groups >= manyGroups && byGroup <= groupBytes
  const packed = whole ? 0 : Math.max(together.keys * keyBytes, together.queries * queryBytes)
  const rowBytes = batch * heads * queries * 4
  // Lanes of the last row read a little further.
  const tables = 2 * rowBytes + 64
  const at = pack.scratch(problemBytes + tables + packed)
  const problem = {
    ...problemOf(pack, inputs, sizes, attributes),
    output: pack.address(inputs.output),
    logSumExp: pack.address(inputs.logSumExp),
    dOutput: pack.address(inputs.dOutput),
    dLogSumExp: inputs.dLogSumExp ? pack.address(inputs.dLogSumExp) : 0,
    shift: at + problemBytes,
    delta: at + problemBytes + rowBytes,
    packed: at + problemBytes + tables,
    dq: pack.address(dq),
    dk: pack.address(dk),
    dv: pack.address(dv),
    dBias: dBias ? pack.address(dBias) : 0,
  }
  writeProblem(pack, at, problem)
  pack.parallel('attendDelta', batch * heads * queries, grainOf(2 * valueWidth, 1), 0, at)
  const dSinks = inputs.sinks && sinkGradient(pack, problem, sizes)
  if (whole) {
    const work = (heads / groups) * queries * keys * 2 * (width + valueWidth)
    pack.parallel('attendGroupGradients', batch * groups, grainOf(work, 1), byGroup, at)
  } else {
    queryGradients(pack, at, problem, sizes, together.keys, biasAxis)
    keyGradients(pack, at, problem, sizes, together.queries, biasAxis)
  }
  return [dq, dk, dv, ...(dBias ? [dBias] : []), ...(dSinks ? [dSinks] : [])]
}

/** The axis along which blocks of a head's scores have their own gradients of the bias. */
type BiasAxis = 'queries' | 'keys' | 'none' | null

function biasAxisOf(bias: tf.TensorInfo | undefined): BiasAxis {
  if (!bias) return null
  return bias.shape[2]! > 1 ? 'queries' : bias.shape[3]! > 1 ? 'keys' : 'none'
}

/** dq, and d bias where it has an axis of queries: then by one head after the other, which may share it. */
function queryGradients(
  pack: Pack,
  at: number,
  problem: Problem,
  { batch, heads, groups, queries, keys, width, valueWidth }: AttendSizes,
  together: number,
  biasAxis: BiasAxis,
): void {
  const perGroup = heads / groups
  const blocks = pack.run.attendGradientBlocks(queries)
  const scratch = pack.run.attendGradientScratch(width, valueWidth)
  const grain = grainOf((queries / blocks) * keys * (2 * width + valueWidth), 1)
  for (let group = 0; group < batch * groups; group += together) {
    const count = Math.min(together, batch * groups - group)
    writeProblem(pack, at, { ...problem, group })
    pack.parallel('attendPackKeys', count, grainOf(keys * (2 * width + valueWidth), 1), 0, at)
    const atOnce = biasAxis === 'queries' ? 1 : count * perGroup
    for (let head = 0; head < count * perGroup; head += atOnce) {
      writeProblem(pack, at, { ...problem, group, head: group * perGroup + head })
      pack.parallel('attendQueryGradients', atOnce * blocks, grain, scratch, at)
    }
  }
}

/** dk and dv, by one head of each group after the other, and d bias where it has no axis of queries. */
function keyGradients(
  pack: Pack,
  at: number,
  problem: Problem,
  { batch, heads, groups, queries, keys, width, valueWidth }: AttendSizes,
  together: number,
  biasAxis: BiasAxis,
): void {
  const blocks = pack.run.attendGradientBlocks(keys)
  const scratch = pack.run.attendGradientScratch(width, valueWidth)
  const grain = biasAxis === 'none' ? blocks : grainOf((keys / blocks) * queries * 2 * (width + valueWidth), 1)
  for (let group = 0; group < batch * groups; group += together) {
    const count = Math.min(together, batch * groups - group)
    for (let member = 0; member < heads / groups; member++) {
      writeProblem(pack, at, { ...problem, group, member })
      pack.parallel('attendPackQueries', count, grainOf(queries * 2 * (width + valueWidth), 1), 0, at)
      pack.parallel('attendKeyGradients', count * blocks, grain, scratch, at)
    }
  }
}

/** A sink is a key without a value: the sum of exp(z - logSumExp) (d logSumExp - Delta) over its head's rows. */
function sinkGradient(pack: Pack, problem: Problem, { batch, heads, queries }: AttendSizes): tf.TensorInfo {
  const dSinks = pack.output([heads])
  const floats = new Float32Array(pack.backend.wasm.HEAPU8.buffer)
  const [sinks, shift, delta, to] = [problem['sinks']!, problem['shift']!, problem['delta']!, pack.address(dSinks)].map(
    (address) => address / 4,
  ) as [number, number, number, number]
  for (let head = 0; head < heads; head++) {
    let sum = 0
    for (let b = 0; b < batch; b++) {
      const first = (b * heads + head) * queries
      for (let row = first; row < first + queries; row++)
        sum += Math.exp(floats[sinks + head]! - floats[shift + row]!) * floats[delta + row]!
    }
    floats[to + head] = sum
  }
  return dSinks
}

function problemOf(pack: Pack, inputs: AttendInputs, sizes: AttendSizes, attributes: AttendAttributes): Problem {
  const { q, k, v, bias, mask, sinks, lengths } = inputs
  const address = (x: tf.TensorInfo | undefined): number => (x ? pack.address(x) : 0)
  const [biasBatch, biasHead, biasQuery, biasKey] = strides(bias, 4)
  const [maskBatch, maskHead, maskQuery, maskKey] = strides(mask, 1)
  return {
    ...sizes,
    ...attributes,
    q: pack.address(q),
    k: pack.address(k),
    v: pack.address(v),
    bias: address(bias),
    mask: address(mask),
    sinks: address(sinks),
    lengths: address(lengths),
    biasBatch,
    biasHead,
    biasQuery,
    biasKey,
    maskBatch,
    maskHead,
    maskQuery,
    maskKey,
  } as Problem
}

/** Bytes from one element to the next along each of 4 axes; 0 where the tensor is the same for all. */
function strides(x: tf.TensorInfo | undefined, elementBytes: number): [number, number, number, number] {
  const shape = x?.shape ?? [1, 1, 1, 1]
  return shape.map((size, axis) => (size === 1 ? 0 : elementBytes * tf.util.sizeFromShape(shape.slice(axis + 1)))) as [
    number,
    number,
    number,
    number,
  ]
}

/** How many groups fit the working memory, at least one. */
function atATime(groups: number, bytes: number): number {
  return Math.max(1, Math.min(groups, Math.floor(packedBytes / bytes)))
}

function writeProblem(pack: Pack, at: number, problem: Problem): void {
  const { buffer } = pack.backend.wasm.HEAPU8
  const whole = new Int32Array(buffer, at, fields.length)
  const real = new Float32Array(buffer, at, fields.length)
  fields.forEach((name, i) => {
    if (name === 'scale' || name === 'softcap') real[i] = problem[name]!
    else whole[i] = problem[name] ?? 0
  })
}

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
  const together = atATime(batch * groups, bytes)
  const scratch = pack.run.attendScratch(width, valueWidth)
  const at = pack.scratch(problemBytes + together * bytes)
  for (let group = 0; group < batch * groups; group += together) {
    const count = Math.min(together, batch * groups - group)
    writeProblem(pack, at, { ...problem, packed: at + problemBytes, group, head: group * perGroup })
    pack.parallel('attendPack', count, 1, 0, at)
    pack.parallel('attendRows', count * perGroup * blocks, 1, scratch, at)
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
  const { batch, heads, groups, queries, keys, valueWidth } = sizes
  if (queries >= manyQueries) return attendWasm(pack, inputs, attributes)
  const output = pack.output([batch, heads, queries, valueWidth])
  const logSumExp = pack.output([batch, heads, queries])
  const rows = (heads / groups) * queries
  const spans = pack.run.attendSpans(longest(pack, inputs.lengths, batch, keys))
  const at = pack.scratch(problemBytes + batch * groups * spans * pack.run.attendSpanBytes(rows, valueWidth))
  const problem = problemOf(pack, inputs, sizes, attributes)
  const results = { output: pack.address(output), logSumExp: pack.address(logSumExp), packed: at + problemBytes }
  writeProblem(pack, at, { ...problem, ...results })
  pack.parallel('attendSpan', batch * groups * spans, 1, pack.run.attendSpanScratch(rows), at, spans)
  pack.parallel('attendMerge', batch * heads * queries, grainOf(spans * valueWidth, 1), 0, at, spans)
  return [output, logSumExp]
}

/** The greatest length, of what the cache can hold. */
function longest(pack: Pack, lengths: tf.TensorInfo | undefined, batch: number, keys: number): number {
  if (!lengths) return keys
  const given = new Int32Array(pack.backend.wasm.HEAPU8.buffer, pack.address(lengths), batch)
  return Math.min(keys, Math.max(0, ...given))
}

/**
 * XAttendGradient: scores once more for dq and once more for dk and dv, so that no two threads add to one number.
 *
 * Floor: 2 B h (3 d + 2 dv) operations and one exp for each pair of a query and a key it sees, done here with
 * 2 B h (4 d + 3 dv) and two; 4 B (h L (3 d + 2 dv + 2) + 2 g S (d + dv)) bytes. Working memory: 4 MiB or the
 * operands of one head, and 8 B h L bytes. A gradient of the bias is added up head by head.
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
  const perGroup = heads / groups
  const rowBytes = batch * heads * queries * 4
  const keyBytes = pack.run.attendPackedKeys(keys, width, valueWidth)
  const queryBytes = pack.run.attendPackedQueries(queries, width, valueWidth)
  const biasByQuery = inputs.bias !== undefined && inputs.bias.shape[2]! > 1
  const biasByKey = inputs.bias !== undefined && !biasByQuery
  const forKeys = biasByQuery ? 1 : atATime(batch * groups, keyBytes)
  const forQueries = biasByKey ? 1 : atATime(batch * groups, queryBytes)
  // Lanes of the last row read a little further.
  const tables = 2 * rowBytes + 64
  const at = pack.scratch(problemBytes + tables + Math.max(forKeys * keyBytes, forQueries * queryBytes))
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
  const scratch = pack.run.attendGradientScratch(width, valueWidth)
  writeProblem(pack, at, problem)
  pack.parallel('attendDelta', batch * heads * queries, grainOf(2 * valueWidth, 1), 0, at)
  const dSinks = inputs.sinks && sinkGradient(pack, problem, sizes)

  const queryBlocks = pack.run.attendGradientBlocks(queries)
  for (let group = 0; group < batch * groups; group += forKeys) {
    const count = Math.min(forKeys, batch * groups - group)
    writeProblem(pack, at, { ...problem, group, head: group * perGroup })
    pack.parallel('attendPackKeys', count, 1, 0, at)
    const together = biasByQuery ? 1 : count * perGroup
    for (let head = 0; head < count * perGroup; head += together) {
      writeProblem(pack, at, { ...problem, group, head: group * perGroup + head })
      pack.parallel('attendQueryGradients', together * queryBlocks, 1, scratch, at)
    }
  }

  const keyBlocks = pack.run.attendGradientBlocks(keys)
  const grain = biasByKey && inputs.bias.shape[3] === 1 ? keyBlocks : 1
  for (let group = 0; group < batch * groups; group += forQueries) {
    const count = Math.min(forQueries, batch * groups - group)
    for (let member = 0; member < perGroup; member++) {
      writeProblem(pack, at, { ...problem, group, member })
      pack.parallel('attendPackQueries', count, 1, 0, at)
      pack.parallel('attendKeyGradients', count * keyBlocks, grain, scratch, at)
    }
  }
  return [dq, dk, dv, ...(dBias ? [dBias] : []), ...(dSinks ? [dSinks] : [])]
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

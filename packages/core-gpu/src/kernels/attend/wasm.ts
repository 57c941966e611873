import * as tf from '@tensorflow/tfjs-core'
import type { Pack } from '../pack.ts'
import { type AttendAttributes, type AttendInputs, type AttendSizes, attendSizes } from './contract.ts'

// Keys and values are packed this many bytes at a time, but at least those of one head.
const packedBytes = 1 << 22

/** What the pack reads of a problem: the fields of Problem in assembly/attend.ts, in order, of 4 bytes each. */
const fields = [
  ...['q', 'k', 'v', 'bias', 'mask', 'sinks', 'lengths', 'output', 'logSumExp', 'dOutput', 'delta', 'dq', 'dk', 'dv'],
  ...['dBias', 'packed', 'group', 'heads', 'groups', 'queries', 'keys', 'width', 'valueWidth', 'left', 'right'],
  ...['scale', 'softcap', 'biasBatch', 'biasHead', 'biasQuery', 'biasKey'],
  ...['maskBatch', 'maskHead', 'maskQuery', 'maskKey'],
]
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
  const blocks = (heads / groups) * pack.run.attendBlocks(queries)
  const scratch = pack.run.attendScratch(width, valueWidth)
  forGroups(pack, problem, batch * groups, bytes, (at, count) => {
    pack.parallel('attendPack', count, 1, 0, at)
    pack.parallel('attendRows', count * blocks, 1, scratch, at)
  })
  return [output, logSumExp]
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
    ...{ biasBatch, biasHead, biasQuery, biasKey, maskBatch, maskHead, maskQuery, maskKey },
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

/** Runs through all groups, as many at a time as fit the working memory; `run` gets the problem's address. */
function forGroups(
  pack: Pack,
  problem: Problem,
  groups: number,
  bytes: number,
  run: (at: number, count: number) => void,
): void {
  const together = Math.max(1, Math.min(groups, Math.floor(packedBytes / bytes)))
  const at = pack.scratch(problemBytes + together * bytes)
  for (let group = 0; group < groups; group += together) {
    writeProblem(pack, at, { ...problem, packed: at + problemBytes, group })
    run(at, Math.min(together, groups - group))
  }
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

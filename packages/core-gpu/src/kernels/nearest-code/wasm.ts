import type * as tf from '@tensorflow/tfjs-core'
import { grainOf, rowGrain } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'
import type { CodeMetric } from './nearest-code.ts'

// Codes are packed this many bytes at a time, so that a large codebook needs no second copy of itself.
const packedBytes = 1 << 22

/**
 * XNearestCode: GEMM tiles that begin with |c|^2 and end in a running minimum.
 *
 * Floor: 2 N K d operations and 4 (N d + K d) bytes; working memory 4 MiB, whatever N and K are.
 * Reached by two threads of an EPYC: 89 % of the largest rate of a product with d = 64, 41 % with d = 8.
 */
export function nearestCodeWasm(
  pack: Pack,
  x: tf.TensorInfo,
  codebook: tf.TensorInfo,
  metric: CodeMetric,
): tf.TensorInfo[] {
  const indices = pack.output([x.shape[0]!], 'int32')
  const distances = pack.output([x.shape[0]!])
  search(pack, x, codebook, metric, { indices, distances, top: 1, noCode: 0 })
  return [indices, distances]
}

/** XNearestCodes: the same tiles, whose scores go into a sorted list where they are less than its last. */
export function nearestCodesWasm(
  pack: Pack,
  x: tf.TensorInfo,
  codebook: tf.TensorInfo,
  count: number,
  metric: CodeMetric,
): tf.TensorInfo[] {
  const indices = pack.output([x.shape[0]!, count], 'int32')
  const distances = pack.output([x.shape[0]!, count])
  search(pack, x, codebook, metric, { indices, distances, top: count, noCode: -1 })
  return [indices, distances]
}

interface Found {
  readonly indices: tf.TensorInfo
  readonly distances: tf.TensorInfo
  readonly top: number
  /** the index that stays where every code is infinitely far */
  readonly noCode: number
}

function search(pack: Pack, x: tf.TensorInfo, codebook: tf.TensorInfo, metric: CodeMetric, found: Found): void {
  const [rows, d] = x.shape as [number, number]
  const codes = codebook.shape[0]!
  const { top, noCode } = found
  const cosine = metric === 'cosine' ? 1 : 0
  const block = Math.min(Math.ceil(codes / 8) * 8, Math.max(64, Math.floor(packedBytes / (d * 4) / 8) * 8))
  const panels = pack.scratch(block * (d + 1) * 4)
  const starts = panels + block * d * 4
  const [from, table, indices, scores] = [x, codebook, found.indices, found.distances].map((tensor) =>
    pack.address(tensor),
  ) as [number, number, number, number]
  const { buffer } = pack.backend.wasm.HEAPU8
  new Int32Array(buffer, indices, rows * top).fill(noCode)
  new Float32Array(buffer, scores, rows * top).fill(Infinity)
  for (let base = 0; base < codes; base += block) {
    const count = Math.min(block, codes - base)
    const first = table + base * d * 4
    pack.parallel('packCodes', Math.ceil(count / 8), grainOf(8 * d, 1), 0, first, count, d, panels, starts, cosine)
    const numbers = [from, d, panels, starts, base, count, scores, indices]
    const grain = rowGrain(rows, count * d)
    if (top === 1) pack.parallel('nearestRows', rows, grain, pack.run.nearestScratch(d), ...numbers)
    else pack.parallel('nearestTop', rows, grain, pack.run.nearestTopScratch(d), ...numbers, top)
  }
  pack.parallel('nearestDistances', rows, grainOf(2 * d * top, 1), 0, from, table, d, indices, scores, cosine, top)
}

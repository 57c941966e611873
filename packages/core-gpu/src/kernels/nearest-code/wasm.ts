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
 */
export function nearestCodeWasm(
  pack: Pack,
  x: tf.TensorInfo,
  codebook: tf.TensorInfo,
  metric: CodeMetric,
): tf.TensorInfo[] {
  const [rows, d] = x.shape as [number, number]
  const codes = codebook.shape[0]!
  const cosine = metric === 'cosine' ? 1 : 0
  const indices = pack.output([rows], 'int32')
  const distances = pack.output([rows])
  const block = Math.min(Math.ceil(codes / 8) * 8, Math.max(64, Math.floor(packedBytes / (d * 4) / 8) * 8))
  const panels = pack.scratch(block * (d + 1) * 4)
  const starts = panels + block * d * 4
  const from = pack.address(x)
  const table = pack.address(codebook)
  const best = pack.address(indices)
  const scores = pack.address(distances)
  pack.clear(indices)
  new Float32Array(pack.backend.wasm.HEAPU8.buffer, scores, rows).fill(Infinity)
  for (let base = 0; base < codes; base += block) {
    const count = Math.min(block, codes - base)
    const first = table + base * d * 4
    pack.parallel('packCodes', Math.ceil(count / 8), grainOf(8 * d, 1), 0, first, count, d, panels, starts, cosine)
    const numbers = [from, d, panels, starts, base, count, scores, best]
    pack.parallel('nearestRows', rows, rowGrain(rows, count * d), pack.run.nearestScratch(d), ...numbers)
  }
  pack.parallel('nearestDistances', rows, grainOf(2 * d, 1), 0, from, table, d, best, scores, cosine)
  return [indices, distances]
}

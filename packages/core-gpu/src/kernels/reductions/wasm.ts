import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'
import type { Reduction } from './reduction.ts'

/** Sum or Mean over one stretch of dimensions: `factor` times the sums. */
export function sumWasm(
  pack: Pack,
  x: tf.TensorInfo,
  outShape: number[],
  [outer, middle, inner]: Reduction,
  factor: number,
): tf.TensorInfo {
  const out = pack.output(outShape)
  const [from, to] = [pack.address(x), pack.address(out)]
  if (inner === 1) sumRows(pack, from, to, outer, middle, factor)
  else if (outer === 1) sumColumns(pack, from, to, middle, inner, factor)
  else pack.parallel('columnSums', inner, grainOf(outer * middle, 16), 0, from, to, outer, middle, inner, factor)
  return out
}

// Parts of a sum over everything, in numbers.
const partSize = 1 << 14

function sumRows(pack: Pack, x: number, to: number, rows: number, d: number, factor: number): void {
  if (rows > 1 || d <= 2 * partSize) {
    pack.parallel('rowSums', rows, grainOf(d, 1), 0, x, to, d, rows * d, factor)
    return
  }
  const count = Math.ceil(d / partSize)
  const parts = pack.scratch(count * 4)
  pack.parallel('rowSums', count, grainOf(partSize, 1), 0, x, parts, partSize, d, 1)
  pack.run.rowSums(0, 1, 0, parts, to, count, count, factor)
}

/** The sum of the rows of x [rows, n]: the gradient of a bias, and what parts of a gradient make together. */
function sumColumns(pack: Pack, x: number, to: number, rows: number, n: number, factor: number): void {
  const span = grainOf(n, 1)
  const count = Math.ceil(rows / span)
  // Wide rows are shared out by columns; narrow ones by rows, whose parts are then added up.
  if (count <= 2 || n >= 512) {
    pack.parallel('columnSums', n, grainOf(rows, 16), 0, x, to, 1, rows, n, factor)
    return
  }
  const parts = pack.scratch(count * n * 4)
  pack.parallel('columnParts', count, 1, 0, x, parts, rows, n, span)
  pack.run.columnSums(0, n, 0, parts, to, 1, count, n, factor)
}

/** XSpread: dy times `factor`, wherever the numbers of `shape` came from that were summed up to it. */
export function spreadWasm(
  pack: Pack,
  dy: tf.TensorInfo,
  shape: number[],
  [outer, middle, inner]: Reduction,
  factor: number,
): tf.TensorInfo {
  const out = pack.output(shape)
  const numbers = [pack.address(dy), pack.address(out), middle, inner, factor]
  pack.parallel('spreadRows', outer * middle, grainOf(inner, 4), 0, ...numbers)
  return out
}

import type * as tf from '@tensorflow/tfjs-core'
import type { Pack } from '../pack.ts'
import { type ConvGeometry, geometryNumbers } from './geometry.ts'

/** Gradient towards the filter [kh, kw, inC, outC]: what each output saw, transposed, times its gradient, in blocks of rows. */
export function filterGradientWasm(pack: Pack, x: tf.TensorInfo, dy: tf.TensorInfo, info: ConvGeometry): tf.TensorInfo {
  const { patch, rows, block, pointwise } = blocking(info)
  const outC = info.outChannels
  const out = pack.output(info.filterShape)
  if (rows === 0) pack.clear(out)
  const columnBytes = pointwise ? 0 : block * patch * 4
  const columns = pack.scratch(columnBytes + pack.run.gemmScratch(outC, block))
  const [from, gradient, to] = [pack.address(x), pack.address(dy), pack.address(out)]
  const numbers = geometryNumbers(info)
  for (let row = 0; row < rows; row += block) {
    const count = Math.min(block, rows - row)
    if (!pointwise) pack.run.im2col(from, columns, row, count, ...numbers)
    const seen = pointwise ? from + row * patch * 4 : columns
    const dyRows = gradient + row * outC * 4
    const accumulate = row > 0 ? 1 : 0
    pack.run.gemm(
      seen,
      4,
      patch * 4,
      dyRows,
      outC * 4,
      4,
      to,
      patch,
      outC,
      count,
      accumulate,
      0,
      0,
      0,
      columns + columnBytes,
    )
  }
  return out
}

/** Gradient towards the input [b, h, w, inC]: output gradients times the filter, added back to where they were seen. */
export function inputGradientWasm(
  pack: Pack,
  dy: tf.TensorInfo,
  filter: tf.TensorInfo,
  info: ConvGeometry,
): tf.TensorInfo {
  const { patch, rows, block, pointwise } = blocking(info)
  const outC = info.outChannels
  const out = pack.output(info.inShape)
  if (!pointwise) pack.clear(out)
  const columnBytes = pointwise ? 0 : block * patch * 4
  const columns = pack.scratch(columnBytes + pack.run.gemmScratch(patch, outC))
  const [gradient, weights, to] = [pack.address(dy), pack.address(filter), pack.address(out)]
  const numbers = geometryNumbers(info)
  for (let row = 0; row < rows; row += block) {
    const count = Math.min(block, rows - row)
    const seen = pointwise ? to + row * patch * 4 : columns
    const dyRows = gradient + row * outC * 4
    pack.run.gemm(
      dyRows,
      outC * 4,
      4,
      weights,
      4,
      outC * 4,
      seen,
      count,
      patch,
      outC,
      0,
      0,
      0,
      0,
      columns + columnBytes,
    )
    if (!pointwise) pack.run.col2im(to, columns, row, count, ...numbers)
  }
  return out
}

// About a megabyte of columns at a time stays in the second-level cache.
const blockFloats = 1 << 18

function blocking(info: ConvGeometry): { patch: number; rows: number; block: number; pointwise: boolean } {
  const patch = info.filterHeight * info.filterWidth * info.inChannels
  const rows = info.batchSize * info.outHeight * info.outWidth
  const pointwise =
    info.filterHeight === 1 &&
    info.filterWidth === 1 &&
    info.strideHeight === 1 &&
    info.strideWidth === 1 &&
    info.outHeight === info.inHeight &&
    info.outWidth === info.inWidth
  const fitting = Math.min(2048, Math.max(96, Math.floor(blockFloats / patch)))
  return { patch, rows, block: pointwise ? Math.max(1, rows) : Math.max(1, Math.min(rows, fitting)), pointwise }
}

import type * as tf from '@tensorflow/tfjs-core'
import { type Epilogue, grainOf, multiply, noEpilogue, packPanels, rowGrain } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'
import { type ConvGeometry, geometryNumbers } from './geometry.ts'

/**
 * Convolution [b, outH, outW, outC] of x [b, h, w, inC] by filter [kh, kw, inC, outC], then + bias and activation.
 *
 * What 48 output positions see is gathered at a time and multiplied by the filter, packed once. Floor: with P =
 * b outH outW positions 2 P kh kw inC outC operations, and 4 (b h w inC + kh kw inC outC + P outC) bytes. Reached by two
 * threads of an EPYC, 3 x 3: 80 % of the largest rate of a product; with both gradients 79 %.
 */
export function conv2dWasm(
  pack: Pack,
  x: tf.TensorInfo,
  filter: tf.TensorInfo,
  info: ConvGeometry,
  epilogue: Epilogue = noEpilogue,
): tf.TensorInfo {
  const out = pack.output(info.outShape)
  const outC = info.outChannels
  const patch = info.filterHeight * info.filterWidth * info.inChannels
  const weights = { at: pack.address(filter), row: outC * 4, column: 4 }
  if (isPointwise(info)) {
    const rows = { at: pack.address(x), row: info.inChannels * 4, column: 4 }
    multiply(pack, rows, weights, pack.address(out), [positionsOf(info), outC, patch], epilogue)
  } else {
    convolve(pack, pack.address(x), packPanels(pack, weights, patch, outC), pack.address(out), info, epilogue)
  }
  return out
}

/**
 * Gradient towards the input [b, h, w, inC].
 *
 * Without a stride it is a convolution of the output's gradient by the filter, turned by half a circle; else each image's
 * gradient is multiplied by the filter and added back to where it was seen. Floor: as of the convolution itself.
 */
export function inputGradientWasm(
  pack: Pack,
  dy: tf.TensorInfo,
  filter: tf.TensorInfo,
  info: ConvGeometry,
): tf.TensorInfo {
  const out = pack.output(info.inShape)
  const [outC, inC] = [info.outChannels, info.inChannels]
  const [gradient, weights, to] = [pack.address(dy), pack.address(filter), pack.address(out)]
  const patch = info.filterHeight * info.filterWidth * inC
  const transposed = { at: weights, row: 4, column: outC * 4 } // [outC, patch]
  if (isPointwise(info)) {
    const rows = { at: gradient, row: outC * 4, column: 4 }
    multiply(pack, rows, transposed, to, [positionsOf(info), inC, outC])
  } else if (info.strideHeight === 1 && info.strideWidth === 1) {
    convolve(pack, gradient, packTurned(pack, weights, info), to, turned(info), noEpilogue)
  } else {
    const panels = packPanels(pack, transposed, outC, patch)
    const scratch = pack.run.convScratch(patch, outC)
    const work = info.outHeight * info.outWidth * patch * outC
    const numbers = [gradient, panels, to, outC, ...geometryNumbers(info)]
    pack.parallel('convInputImages', info.batchSize, grainOf(work, 1), scratch, ...numbers)
  }
  return out
}

/** Positions that are seen at a time for the filter's gradient: their columns stay in the second-level cache. */
const filterBlock = 256

/** Parts of the positions have a filter gradient each, which are summed: at most so many, in at most so many bytes. */
const mostParts = 16
const partsBytes = 1 << 23

/**
 * Gradient towards the filter [kh, kw, inC, outC]: what each output saw, transposed, times its gradient.
 *
 * Floor: as of the convolution itself.
 */
export function filterGradientWasm(pack: Pack, x: tf.TensorInfo, dy: tf.TensorInfo, info: ConvGeometry): tf.TensorInfo {
  const out = pack.output(info.filterShape)
  const outC = info.outChannels
  const patch = info.filterHeight * info.filterWidth * info.inChannels
  const positions = positionsOf(info)
  if (positions === 0) {
    pack.clear(out)
    return out
  }
  const size = patch * outC
  const blocks = Math.ceil(positions / filterBlock)
  const most = Math.max(1, Math.min(mostParts, Math.floor(partsBytes / (size * 4))))
  const worthwhile = Math.ceil(positions / grainOf(size, filterBlock))
  const span = Math.ceil(blocks / Math.min(most, worthwhile)) * filterBlock
  const parts = Math.ceil(positions / span)
  const to = pack.address(out)
  const sums = parts === 1 ? to : pack.scratch(parts * size * 4)
  const block = Math.min(filterBlock, positions)
  const scratch = pack.run.convFilterScratch(patch, outC, block)
  const numbers = [pack.address(x), pack.address(dy), sums, outC, positions, span, block, ...geometryNumbers(info)]
  pack.parallel('convFilterParts', parts, 1, scratch, ...numbers)
  if (parts > 1) pack.parallel('sumParts', size, grainOf(parts, 64), 0, sums, to, size, parts)
  return out
}

function convolve(pack: Pack, x: number, panels: number, out: number, info: ConvGeometry, epilogue: Epilogue): void {
  const outC = info.outChannels
  const patch = info.filterHeight * info.filterWidth * info.inChannels
  const positions = positionsOf(info)
  const { bias, activation, slope } = epilogue
  const numbers = [x, panels, out, outC, bias, activation, slope, ...geometryNumbers(info)]
  pack.parallel(
    'convRows',
    positions,
    rowGrain(positions, patch * outC),
    pack.run.convScratch(patch, patch),
    ...numbers,
  )
}

/** The convolution that takes the output's gradient to the input's, where there is no stride. */
function turned(info: ConvGeometry): ConvGeometry {
  const before = (pad: number, taps: number, dilation: number): number => (taps - 1) * dilation - pad
  return {
    ...info,
    inHeight: info.outHeight,
    inWidth: info.outWidth,
    inChannels: info.outChannels,
    outHeight: info.inHeight,
    outWidth: info.inWidth,
    outChannels: info.inChannels,
    padInfo: {
      ...info.padInfo,
      top: before(info.padInfo.top, info.filterHeight, info.dilationHeight),
      left: before(info.padInfo.left, info.filterWidth, info.dilationWidth),
    },
  }
}

/** Panels of the filter [kh, kw, inC, outC] as [kh, kw, outC, inC], its taps in reverse order. */
function packTurned(pack: Pack, filter: number, info: ConvGeometry): number {
  const [outC, inC] = [info.outChannels, info.inChannels]
  const taps = info.filterHeight * info.filterWidth
  const count = Math.ceil(inC / 8)
  const panels = pack.scratch(count * 8 * taps * outC * 4)
  for (let tap = 0; tap < taps; tap++) {
    const from = filter + (taps - 1 - tap) * inC * outC * 4
    const to = panels + tap * outC * 8 * 4
    pack.parallel('packPanels', count, grainOf(8 * outC, 1), 0, to, from, 4, outC * 4, outC, inC, taps * outC)
  }
  return panels
}

function positionsOf(info: ConvGeometry): number {
  return info.batchSize * info.outHeight * info.outWidth
}

/** Whether each output pixel sees its own input pixel only: a product of matrices. */
function isPointwise(info: ConvGeometry): boolean {
  return (
    info.filterHeight === 1 &&
    info.filterWidth === 1 &&
    info.strideHeight === 1 &&
    info.strideWidth === 1 &&
    info.outHeight === info.inHeight &&
    info.outWidth === info.inWidth
  )
}

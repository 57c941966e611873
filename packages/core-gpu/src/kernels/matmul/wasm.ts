import * as tf from '@tensorflow/tfjs-core'
import type { Pack } from '../pack.ts'
import { type Epilogue, grainOf, multiply, noEpilogue } from './gemm.ts'

/** Matrices up to this many numbers go one to a thread; larger ones are shared out row by row. */
const wholeMatrix = 1 << 18

/** Matrix product of the last two dimensions, the others broadcast. */
export function matMulWasm(
  pack: Pack,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
  epilogue: Epilogue = noEpilogue,
): tf.TensorInfo {
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number]
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number]
  const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns]
  const [inner, n] = transposeB ? [bColumns, bRows] : [bRows, bColumns]
  if (k !== inner)
    throw new RangeError(`b: expected ${k} in its inner dimension, as a [${a.shape}] has, got shape [${b.shape}]`)
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const out = pack.output([...batch, m, n])
  const count = tf.util.sizeFromShape(batch)
  if (count * m * n === 0) return out

  const left = { at: pack.address(a), row: transposeA ? 4 : aColumns * 4, column: transposeA ? aColumns * 4 : 4 }
  const right = { at: pack.address(b), row: transposeB ? 4 : bColumns * 4, column: transposeB ? bColumns * 4 : 4 }
  const to = pack.address(out)

  const oneB = tf.util.sizeFromShape(b.shape) === bRows * bColumns
  if (oneB && (count === 1 || !transposeA)) {
    multiply(pack, left, right, to, [count * m, n, k], epilogue) // rows of all batches lie one below the other
    return out
  }
  const aStep = uniformStep(a.shape.slice(0, -2), count, m * k * 4)
  const bStep = uniformStep(b.shape.slice(0, -2), count, k * n * 4)
  const plain = epilogue.bias === 0 && epilogue.activation === 0
  if (plain && count > 1 && aStep !== null && bStep !== null && k * (m + n) + m * n <= wholeMatrix) {
    const scratch = pack.run.gemmScratch(k) + Math.ceil(n / 8) * 8 * k * 4
    const numbers = [left.at, aStep, left.row, left.column, right.at, bStep, right.row, right.column, to, m, n, k]
    pack.parallel('gemmBatch', count, grainOf(m * n * k, 1), scratch, ...numbers)
    return out
  }
  const aOffset = batchOffsets(a.shape.slice(0, -2), batch, m * k * 4)
  const bOffset = batchOffsets(b.shape.slice(0, -2), batch, k * n * 4)
  for (let i = 0; i < count; i++) {
    const [x, y] = [
      { ...left, at: left.at + aOffset(i) },
      { ...right, at: right.at + bOffset(i) },
    ]
    multiply(pack, x, y, to + i * m * n * 4, [m, n, k], epilogue)
  }
  return out
}

/** The bytes from one matrix of a broadcast batch to the next, null where that differs. */
function uniformStep(dimensions: number[], count: number, bytes: number): number | null {
  const own = tf.util.sizeFromShape(dimensions)
  return own === 1 ? 0 : own === count ? bytes : null
}

/** Where matrix i of a broadcast batch lies, in bytes from the first. */
function batchOffsets(dimensions: number[], batch: number[], bytes: number): (i: number) => number {
  const step = uniformStep(dimensions, tf.util.sizeFromShape(batch), bytes)
  if (step !== null) return (i) => i * step
  const lead = batch.length - dimensions.length
  return (i) => {
    let rest = i
    let at = 0
    let stride = 1
    for (let axis = batch.length - 1; axis >= lead; axis--) {
      const size = dimensions[axis - lead]!
      if (size !== 1) at += (rest % batch[axis]!) * stride
      stride *= size
      rest = Math.floor(rest / batch[axis]!)
    }
    return at * bytes
  }
}

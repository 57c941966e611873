import * as tf from '@tensorflow/tfjs-core'
import type { Pack } from '../pack.ts'

/** Activations that GEMM applies itself, by its own numbers; the others stay with the stock kernel. */
export const gemmActivations: Record<string, number> = { linear: 0, relu: 1, relu6: 2, leakyrelu: 3 }

/** What may follow a matrix product. */
export interface Epilogue {
  readonly bias?: tf.TensorInfo
  readonly activation?: number
  readonly slope?: number
}

/** Matrix product of the last two dimensions, the others broadcast. */
export function matMulWasm(
  pack: Pack,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
  { bias, activation = 0, slope = 0 }: Epilogue = {},
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

  const scratch = pack.scratch(pack.run.gemmScratch(n, k))
  const from = { a: pack.address(a), b: pack.address(b), out: pack.address(out), bias: bias ? pack.address(bias) : 0 }
  const [aRow, aColumn] = transposeA ? [4, aColumns * 4] : [aColumns * 4, 4]
  const [bRow, bColumn] = transposeB ? [4, bColumns * 4] : [bColumns * 4, 4]
  const multiply = (aAt: number, bAt: number, outAt: number, rows: number): void => {
    pack.run.gemm(aAt, aRow, aColumn, bAt, bRow, bColumn, outAt, rows, n, k, 0, from.bias, activation, slope, scratch)
  }

  const oneB = tf.util.sizeFromShape(b.shape) === bRows * bColumns
  if (oneB && (count === 1 || !transposeA)) {
    multiply(from.a, from.b, from.out, count * m) // rows of all batches lie one below the other
    return out
  }
  const aSteps = batchSteps(a.shape.slice(0, -2), batch, m * k * 4)
  const bSteps = batchSteps(b.shape.slice(0, -2), batch, k * n * 4)
  for (let i = 0; i < count; i++) multiply(from.a + aSteps(i), from.b + bSteps(i), from.out + i * m * n * 4, m)
  return out
}

/** Where matrix i of a broadcast batch lies, in bytes from the first. */
function batchSteps(dimensions: number[], batch: number[], bytes: number): (i: number) => number {
  const own = tf.util.sizeFromShape(dimensions)
  if (own === 1) return () => 0
  if (own === tf.util.sizeFromShape(batch)) return (i) => i * bytes
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

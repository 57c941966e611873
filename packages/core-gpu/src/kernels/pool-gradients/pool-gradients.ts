import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'

interface PoolAttributes {
  readonly filterSize: number | [number, number]
  readonly strides: number | [number, number]
  readonly pad: 'valid' | 'same' | number
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil'
}

function poolGeometry(shape: number[], attributes: Record<string, unknown>): tf.backend_util.Conv2DInfo {
  const { filterSize, strides, pad, dimRoundingMode } = attributes as unknown as PoolAttributes
  return tf.backend_util.computePool2DInfo(
    shape as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  )
}

/**
 * AvgPoolGrad that divides by as many pixels as the forward pass averaged.
 *
 * tfjs's own divides by the whole window also where it reaches over the edge; so the gradient is enlarged there first.
 */
export function avgPoolGrad(backendName: string): Kernel {
  const stock = stockKernel(backendName, tf.AvgPoolGrad)
  return ({ dy, input }, attributes, backend) => {
    const info = poolGeometry(input!.shape, attributes)
    const run = (gradient: tf.Tensor): tf.TensorInfo =>
      stock.kernelFunc({
        inputs: { dy: gradient, input: input! },
        attrs: attributes as tf.NamedAttrMap,
        backend,
      }) as tf.TensorInfo
    const { top, bottom, left, right } = info.padInfo
    if (top === 0 && bottom === 0 && left === 0 && right === 0) return run(dy!)
    const rows = seen(info.outHeight, info.strideHeight, info.filterHeight, top, info.inHeight)
    const columns = seen(info.outWidth, info.strideWidth, info.filterWidth, left, info.inWidth)
    const window = info.filterHeight * info.filterWidth
    const factors = tf.tensor(rows.map((row) => columns.map((column) => [window / (row * column)]))) // [outH, outW, 1]
    const enlarged = tf.mul(dy!, factors)
    const dx = run(enlarged)
    tf.dispose([factors, enlarged])
    return dx
  }
}

/** How many pixels each window sees along one axis. */
function seen(outSize: number, stride: number, filter: number, before: number, size: number): number[] {
  return Array.from({ length: outSize }, (_, i) => {
    const start = i * stride - before
    return Math.max(1, Math.min(size, start + filter) - Math.max(0, start))
  })
}

/** MaxPoolGrad over typed arrays: the gradient goes to the first largest pixel of each window. */
export const maxPoolGradCpu: Kernel = ({ dy, input }, attributes, backend) => {
  const info = poolGeometry(input!.shape, attributes)
  const { inHeight, inWidth, inChannels, outHeight, outWidth, padInfo } = info
  const x = values(backend, input!)
  const gradient = values(backend, dy!)
  const dx = new Float32Array(x.length)
  let read = 0
  for (let b = 0; b < info.batchSize; b++) {
    for (let oy = 0; oy < outHeight; oy++) {
      const top = oy * info.strideHeight - padInfo.top
      const rowEnd = Math.min(inHeight, top + info.filterHeight)
      for (let ox = 0; ox < outWidth; ox++) {
        const left = ox * info.strideWidth - padInfo.left
        const columnEnd = Math.min(inWidth, left + info.filterWidth)
        for (let c = 0; c < inChannels; c++) {
          let largest = -1
          for (let row = Math.max(0, top); row < rowEnd; row++) {
            for (let column = Math.max(0, left); column < columnEnd; column++) {
              const at = ((b * inHeight + row) * inWidth + column) * inChannels + c
              if (largest < 0 || x[at]! > x[largest]!) largest = at
            }
          }
          if (largest >= 0) dx[largest]! += gradient[read]!
          read++
        }
      }
    }
  }
  return makeOutput(backend, input!.shape, 'float32', dx)
}

import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'

type Visit = (out: number, place: number, tap: number) => void

/** Calls `visit` for each output with the place and the tap of its largest sum; the first of equal ones. */
function forEachLargest(
  x: tf.TensorInfo,
  filter: tf.TensorInfo,
  attributes: Record<string, unknown>,
  backend: tf.KernelBackend,
  visit: Visit,
): tf.backend_util.Conv2DInfo {
  // prettier-ignore
  const info = tf.backend_util.computeDilation2DInfo(
    x.shape as [number, number, number, number],
    filter.shape as [number, number, number],
    attributes['strides'] as number,
    attributes['pad'] as 'same',
    'NHWC',
    attributes['dilations'] as number,
  )
  const { inHeight, inWidth, inChannels, filterHeight, filterWidth, padInfo } = info
  const [from, weights] = [values(backend, x), values(backend, filter)]
  let out = 0
  for (let b = 0; b < info.batchSize; b++)
    for (let oy = 0; oy < info.outHeight; oy++)
      for (let ox = 0; ox < info.outWidth; ox++)
        for (let c = 0; c < inChannels; c++, out++) {
          let [bestPlace, bestTap, best] = [-1, -1, -Infinity]
          for (let ky = 0; ky < filterHeight; ky++) {
            const row = oy * info.strideHeight - padInfo.top + ky * info.dilationHeight
            if (row < 0 || row >= inHeight) continue
            for (let kx = 0; kx < filterWidth; kx++) {
              const column = ox * info.strideWidth - padInfo.left + kx * info.dilationWidth
              if (column < 0 || column >= inWidth) continue
              const place = ((b * inHeight + row) * inWidth + column) * inChannels + c
              const tap = (ky * filterWidth + kx) * inChannels + c
              const sum = from[place]! + weights[tap]!
              if (bestPlace < 0 || sum > best) [bestPlace, bestTap, best] = [place, tap, sum]
            }
          }
          visit(out, bestPlace, bestTap)
        }
  return info
}

/** Dilation2D over typed arrays; tfjs's wasm kernel takes negative sums for smaller than padding. */
export const dilation2d: Kernel = ({ x, filter }, attributes, backend) => {
  const [from, weights] = [values(backend, x!), values(backend, filter!)]
  const out: number[] = []
  const { outShape } = forEachLargest(x!, filter!, attributes, backend, (_, place, tap) => {
    out.push(place < 0 ? -Infinity : from[place]! + weights[tap]!)
  })
  return makeOutput(backend, outShape, 'float32', Float32Array.from(out))
}

/** Gradient of Dilation2D towards its input or its filter: each output's goes to its largest sum. */
export function dilation2dGradient(towards: 'input' | 'filter'): Kernel {
  return ({ x, filter, dy }, attributes, backend) => {
    const { shape } = towards === 'input' ? x! : filter!
    const gradient = values(backend, dy!)
    const sums = new Float32Array(tf.util.sizeFromShape(shape))
    forEachLargest(x!, filter!, attributes, backend, (out, place, tap) => {
      if (place >= 0) sums[towards === 'input' ? place : tap]! += gradient[out]!
    })
    return makeOutput(backend, shape, 'float32', sums)
  }
}

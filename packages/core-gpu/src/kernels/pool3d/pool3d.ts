import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'

type Info = tf.backend_util.Conv3DInfo

function geometry(shape: number[], { filterSize, strides, pad, dimRoundingMode }: Record<string, unknown>): Info {
  return tf.backend_util.computePool3DInfo(
    shape as [number, number, number, number, number],
    filterSize as number,
    strides as number,
    1,
    pad as 'same',
    dimRoundingMode as 'floor',
  )
}

/** Calls `visit` with each window's place in the output and the places that it sees in the input. */
function forEachWindow(info: Info, visit: (out: number, seen: readonly number[]) => void): void {
  const { inDepth, inHeight, inWidth, inChannels, padInfo } = info
  const range = (out: number, stride: number, before: number, window: number, size: number): [number, number] => [
    Math.max(0, out * stride - before),
    Math.min(size, out * stride - before + window),
  ]
  let out = 0
  for (let b = 0; b < info.batchSize; b++)
    for (let oz = 0; oz < info.outDepth; oz++) {
      const [front, back] = range(oz, info.strideDepth, padInfo.front, info.effectiveFilterDepth, inDepth)
      for (let oy = 0; oy < info.outHeight; oy++) {
        const [top, bottom] = range(oy, info.strideHeight, padInfo.top, info.effectiveFilterHeight, inHeight)
        for (let ox = 0; ox < info.outWidth; ox++) {
          const [left, right] = range(ox, info.strideWidth, padInfo.left, info.effectiveFilterWidth, inWidth)
          for (let c = 0; c < inChannels; c++) {
            const seen: number[] = []
            for (let z = front; z < back; z++)
              for (let y = top; y < bottom; y++)
                for (let x = left; x < right; x++)
                  seen.push((((b * inDepth + z) * inHeight + y) * inWidth + x) * inChannels + c)
            visit(out++, seen)
          }
        }
      }
    }
}

/** The first of the largest. */
function largest(x: ArrayLike<number>, places: readonly number[]): number {
  let found = places[0]!
  for (const place of places) if (x[place]! > x[found]!) found = place
  return found
}

/** MaxPool3D over typed arrays; tfjs's wasm kernel takes every negative number for smaller than padding. */
export const maxPool3d: Kernel = ({ x }, attributes, backend) => {
  const info = geometry(x!.shape, attributes)
  const from = values(backend, x!)
  const out = new Float32Array(tf.util.sizeFromShape(info.outShape))
  forEachWindow(info, (place, seen) => {
    out[place] = seen.length === 0 ? -Infinity : from[largest(from, seen)]!
  })
  return makeOutput(backend, info.outShape, 'float32', out)
}

/** MaxPool3DGrad over typed arrays: the gradient goes to the first largest element of each window. */
export const maxPool3dGrad: Kernel = ({ dy, input }, attributes, backend) => {
  const from = values(backend, input!)
  const gradient = values(backend, dy!)
  const dx = new Float32Array(from.length)
  forEachWindow(geometry(input!.shape, attributes), (place, seen) => {
    if (seen.length > 0) dx[largest(from, seen)]! += gradient[place]!
  })
  return makeOutput(backend, input!.shape, 'float32', dx)
}

/** AvgPool3DGrad over typed arrays, divided by as many elements as the forward pass averaged. */
export const avgPool3dGrad: Kernel = ({ dy, input }, attributes, backend) => {
  const gradient = values(backend, dy!)
  const dx = new Float32Array(tf.util.sizeFromShape(input!.shape))
  forEachWindow(geometry(input!.shape, attributes), (place, seen) => {
    for (const to of seen) dx[to]! += gradient[place]! / seen.length
  })
  return makeOutput(backend, input!.shape, 'float32', dx)
}

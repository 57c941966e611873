import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'

type Shape5D = [number, number, number, number, number]
type Info = tf.backend_util.Conv3DInfo

function geometry(inputShape: unknown, filterShape: unknown, { strides, pad }: Record<string, unknown>): Info {
  return tf.backend_util.computeConv3DInfo(
    inputShape as Shape5D,
    filterShape as Shape5D,
    strides as number,
    1,
    pad as 'same',
  )
}

/** Calls `visit` for each output position, tap and input position that meet, with where their channels begin. */
function forEachMeeting(info: Info, visit: (out: number, tap: number, input: number) => void): void {
  const { filterDepth, filterHeight, filterWidth, inDepth, inHeight, inWidth, inChannels, outChannels } = info
  const { front, top, left } = info.padInfo
  let out = 0
  for (let b = 0; b < info.batchSize; b++)
    for (let oz = 0; oz < info.outDepth; oz++)
      for (let oy = 0; oy < info.outHeight; oy++)
        for (let ox = 0; ox < info.outWidth; ox++, out += outChannels)
          for (let kz = 0; kz < filterDepth; kz++) {
            const z = oz * info.strideDepth - front + kz
            if (z < 0 || z >= inDepth) continue
            for (let ky = 0; ky < filterHeight; ky++) {
              const y = oy * info.strideHeight - top + ky
              if (y < 0 || y >= inHeight) continue
              for (let kx = 0; kx < filterWidth; kx++) {
                const x = ox * info.strideWidth - left + kx
                if (x < 0 || x >= inWidth) continue
                const tap = ((kz * filterHeight + ky) * filterWidth + kx) * inChannels * outChannels
                visit(out, tap, (((b * inDepth + z) * inHeight + y) * inWidth + x) * inChannels)
              }
            }
          }
}

/** Conv3DBackpropInputV2 over typed arrays; tfjs's own is wrong. */
export const conv3dInputGradientWasm: Kernel = ({ dy, filter }, attributes, backend) => {
  const shape = attributes['inputShape'] as number[]
  const info = geometry(shape, filter!.shape, attributes)
  const { inChannels, outChannels } = info
  const [weights, gradient] = [values(backend, filter!), values(backend, dy!)]
  const dx = new Float32Array(tf.util.sizeFromShape(shape))
  forEachMeeting(info, (out, tap, input) => {
    let weight = tap
    for (let i = 0; i < inChannels; i++) {
      let sum = 0
      for (let o = 0; o < outChannels; o++) sum += gradient[out + o]! * weights[weight++]!
      dx[input + i]! += sum
    }
  })
  return makeOutput(backend, shape, 'float32', dx)
}

/** Conv3DBackpropFilterV2 over typed arrays; tfjs's own is wrong for strides that differ. */
export const conv3dFilterGradientWasm: Kernel = ({ x, dy }, attributes, backend) => {
  const shape = attributes['filterShape'] as number[]
  const info = geometry(x!.shape, shape, attributes)
  const { inChannels, outChannels } = info
  const [from, gradient] = [values(backend, x!), values(backend, dy!)]
  const dFilter = new Float32Array(tf.util.sizeFromShape(shape))
  forEachMeeting(info, (out, tap, input) => {
    let weight = tap
    for (let i = 0; i < inChannels; i++) {
      const seen = from[input + i]!
      for (let o = 0; o < outChannels; o++) dFilter[weight++]! += seen * gradient[out + o]!
    }
  })
  return makeOutput(backend, shape, 'float32', dFilter)
}

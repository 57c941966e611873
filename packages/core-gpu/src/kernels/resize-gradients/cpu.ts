import type { Kernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'

type Positions = readonly (readonly [position: number, weight: number])[]

/** Along one axis: which input positions an output position is made of, and with which weights. */
type Sources = (size: number, scale: number, i: number, alignCorners: boolean, halfPixelCenters: boolean) => Positions

const nearest: Sources = (size, scale, i, alignCorners, halfPixelCenters) => {
  const position = scale * (halfPixelCenters ? i + 0.5 : i)
  return [[Math.min(size - 1, alignCorners ? Math.round(position) : Math.floor(position)), 1]]
}

const bilinear: Sources = (size, scale, i, _alignCorners, halfPixelCenters) => {
  const position = halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i
  const low = Math.max(0, Math.floor(position))
  const high = Math.min(size - 1, Math.ceil(position))
  // As in the forward pass, where a position before the first pixel has a negative fraction between two equal pixels.
  return [
    [low, 1 - (position - low)],
    [high, position - low],
  ]
}

/** Each output pixel's gradient goes to the pixels that it was made of. */
function resizeGradient(sources: Sources): Kernel {
  return ({ images, dy }, { alignCorners, halfPixelCenters }, backend) => {
    const [batch, height, width, depth] = images!.shape as [number, number, number, number]
    const [, outHeight, outWidth] = dy!.shape as [number, number, number, number]
    const along = (size: number, outSize: number): Positions[] => {
      const scale = alignCorners === true && outSize > 1 ? (size - 1) / (outSize - 1) : size / outSize
      return Array.from({ length: outSize }, (_, i) =>
        sources(size, scale, i, alignCorners === true, halfPixelCenters === true),
      )
    }
    const rows = along(height, outHeight)
    const columns = along(width, outWidth)
    const from = values(backend, dy!)
    const dx = new Float32Array(batch * height * width * depth)
    let read = 0
    for (let b = 0; b < batch; b++) {
      for (const rowSources of rows) {
        for (const columnSources of columns) {
          for (const [row, rowWeight] of rowSources) {
            for (const [column, columnWeight] of columnSources) {
              const write = ((b * height + row) * width + column) * depth
              const weight = rowWeight * columnWeight
              for (let c = 0; c < depth; c++) dx[write + c]! += weight * from[read + c]!
            }
          }
          read += depth
        }
      }
    }
    return makeOutput(backend, images!.shape, 'float32', dx)
  }
}

/** ResizeNearestNeighborGrad over typed arrays, right for any batch and for half-pixel centres. */
export const resizeNearestNeighborGradCpu: Kernel = resizeGradient(nearest)

/** ResizeBilinearGrad over typed arrays, right for any aspect ratio and for half-pixel centres. */
export const resizeBilinearGradCpu: Kernel = resizeGradient(bilinear)

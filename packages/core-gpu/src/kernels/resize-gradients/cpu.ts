import type { Kernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'
import { bilinear, nearest, type Sources, sourcesAlong } from './sources.ts'

/** Each output pixel's gradient goes to the pixels that it was made of. */
function resizeGradient(sources: Sources): Kernel {
  return ({ images, dy }, { alignCorners, halfPixelCenters }, backend) => {
    const [batch, height, width, depth] = images!.shape as [number, number, number, number]
    const [, outHeight, outWidth] = dy!.shape as [number, number, number, number]
    const along = (size: number, outSize: number): ReturnType<typeof sourcesAlong> =>
      sourcesAlong(sources, size, outSize, alignCorners === true, halfPixelCenters === true)
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

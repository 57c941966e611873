import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel, tensorOf } from '../registry.ts'

/** AvgPool3DGrad that divides by as many elements as the forward pass averaged: enlarges the gradient at the edges first. */
export function avgPool3dGradEnlarged(backendName: string): Kernel {
  const stock = stockKernel(backendName, tf.AvgPool3DGrad)
  return ({ dy, input }, attributes, backend) => {
    const info = tf.backend_util.computePool3DInfo(
      input!.shape as [number, number, number, number, number],
      attributes['filterSize'] as number,
      attributes['strides'] as number,
      1,
      attributes['pad'] as 'same',
      attributes['dimRoundingMode'] as 'floor',
    )
    const { padInfo: pad } = info
    const z = seen(info.outDepth, info.strideDepth, info.effectiveFilterDepth, pad.front, info.inDepth)
    const y = seen(info.outHeight, info.strideHeight, info.effectiveFilterHeight, pad.top, info.inHeight)
    const x = seen(info.outWidth, info.strideWidth, info.effectiveFilterWidth, pad.left, info.inWidth)
    const window = info.effectiveFilterDepth * info.effectiveFilterHeight * info.effectiveFilterWidth
    const factors = z.flatMap((a) => y.flatMap((b) => x.map((c) => window / (a * b * c))))
    return tf.tidy(() => {
      const places = [info.batchSize, factors.length, info.inChannels]
      const enlarged = tf.mul(tf.reshape(dy!, places), tf.tensor3d(factors, [1, factors.length, 1]))
      return tensorOf(
        stock.kernelFunc({
          inputs: { dy: tf.reshape(enlarged, dy!.shape), input: input! },
          attrs: attributes as tf.NamedAttrMap,
          backend,
        }) as tf.TensorInfo,
      )
    })
  }
}

/** How many elements each window sees along one axis. */
function seen(outSize: number, stride: number, filter: number, before: number, size: number): number[] {
  return Array.from({ length: outSize }, (_, i) => {
    const start = i * stride - before
    return Math.max(1, Math.min(size, start + filter) - Math.max(0, start))
  })
}

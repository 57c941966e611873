import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import { bilinear, nearest, type Sources, sourcesAlong } from './sources.ts'

/**
 * Resizing gradients that are right for half-pixel centres: there as two matrix products, one for each axis. tfjs's own
 * overlooks the option on webgpu and in TensorFlow.
 */
export function halfPixelResizeGradients(backendName: string): Record<string, Kernel> {
  const withMatrices = (kernelName: string, sources: Sources): Kernel => {
    const stock = stockKernel(backendName, kernelName)
    return (inputs, attributes, backend) => {
      if (attributes['halfPixelCenters'] !== true)
        return stock.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
      const [batch, height, width, depth] = (inputs['images'] as tf.Tensor4D).shape
      const dy = inputs['dy'] as tf.Tensor4D
      const [, outHeight, outWidth] = dy.shape
      return tf.tidy(() => {
        const rows = tf.matMul(
          matrix(sources, height, outHeight, batch),
          tf.reshape(dy, [batch, outHeight, outWidth * depth]),
        ) // [b, h, outW * c]
        const both = tf.matMul(
          matrix(sources, width, outWidth, batch * height),
          tf.reshape(rows, [batch * height, outWidth, depth]),
        ) // [b * h, w, c]
        return tf.reshape(both, [batch, height, width, depth])
      })
    }
  }
  return {
    [tf.ResizeBilinearGrad]: withMatrices(tf.ResizeBilinearGrad, bilinear),
    [tf.ResizeNearestNeighborGrad]: withMatrices(tf.ResizeNearestNeighborGrad, nearest),
  }
}

/** The weight of each input position in each output position, once for each batch. [batch, size, outSize] */
function matrix(sources: Sources, size: number, outSize: number, batch: number): tf.Tensor3D {
  const weights = new Float32Array(size * outSize)
  for (const [i, positions] of sourcesAlong(sources, size, outSize, false, true).entries())
    for (const [position, weight] of positions) weights[position * outSize + i]! += weight
  return tf.tile(tf.tensor3d(weights, [1, size, outSize]), [batch, 1, 1])
}

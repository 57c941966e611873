import * as tf from '@tensorflow/tfjs-core'
import { BaseModule } from '../module/module.ts'
import { describeValue, requireShape } from '../validation/validation.ts'
import type { Layer } from './layer.ts'
import { pairOf, type Pair } from './windows.ts'

export interface UpsampleOptions {
  /** whole-numbered factor */
  readonly scale: Pair
  /** default `nearest` */
  readonly method?: 'nearest' | 'bilinear'
}

/**
 * Enlarges images by whole factors, NHWC.
 *
 * Bilinear samples at pixel centres (PyTorch's `align_corners=False`). Both are made of slices and sums, because the
 * resize kernels' gradients are wrong or absent on some backends.
 */
export class Upsample extends BaseModule implements Layer {
  readonly #scale: [number, number]
  readonly #phases: (x: tf.Tensor3D, scale: number) => tf.Tensor3D[]

  /** @throws RangeError when the scale is no whole number >= 1 or the method is unknown */
  constructor(options: UpsampleOptions) {
    super()
    const { method = 'nearest' } = options
    this.#scale = pairOf('scale', options.scale, 1)
    if (method !== 'nearest' && method !== 'bilinear')
      throw new RangeError(`method: expected "nearest" or "bilinear", got ${describeValue(method)}`)
    this.#phases = method === 'nearest' ? nearestPhases : linearPhases
  }

  /**
   * @param x [B, H, W, C]
   * @returns [B, scale H, scale W, C]
   */
  forward(x: tf.Tensor): tf.Tensor {
    requireShape('x', x, [null, null, null, null])
    return tf.tidy(() => tf.clone(this.#stretch(this.#stretch(x, 1, this.#scale[0]), 2, this.#scale[1])))
  }

  /** Each of the `scale` pixels that one becomes is a phase; the phases are interleaved along the axis. */
  #stretch(x: tf.Tensor, axis: number, scale: number): tf.Tensor {
    if (scale === 1) return x
    const outer = tf.util.sizeFromShape(x.shape.slice(0, axis))
    const inner = tf.util.sizeFromShape(x.shape.slice(axis + 1))
    const rows = tf.reshape(x, [outer, x.shape[axis]!, inner]) as tf.Tensor3D
    const stretched = tf.stack(this.#phases(rows, scale), 2) // [outer, n, scale, inner]
    return tf.reshape(stretched, x.shape.with(axis, x.shape[axis]! * scale))
  }
}

function nearestPhases(x: tf.Tensor3D, scale: number): tf.Tensor3D[] {
  return Array.from({ length: scale }, () => x)
}

function linearPhases(x: tf.Tensor3D, scale: number): tf.Tensor3D[] {
  const [outer, n, inner] = x.shape
  const first = tf.slice(x, [0, 0, 0], [outer, 1, inner])
  const last = tf.slice(x, [0, n - 1, 0], [outer, 1, inner])
  const before = tf.concat([first, tf.slice(x, [0, 0, 0], [outer, n - 1, inner])], 1)
  const after = tf.concat([tf.slice(x, [0, 1, 0], [outer, n - 1, inner]), last], 1)
  return Array.from({ length: scale }, (_, phase) => {
    // Where this pixel's centre lies, in pixels from the centre of the one it came from.
    const offset = (phase + 0.5) / scale - 0.5
    const neighbour = offset < 0 ? before : after
    return tf.add(tf.mul(x, 1 - Math.abs(offset)), tf.mul(neighbour, Math.abs(offset)))
  })
}

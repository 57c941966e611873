import * as tf from '@tensorflow/tfjs-core'
import { requireShape } from '@x/core-gpu'

/** Feature maps of images [B, H, W, channels], each [B, h, w, C]: those of a `FeatureNetwork`, or of any other network. */
export type FeatureFunction = (images: tf.Tensor4D) => readonly tf.Tensor[]

/** Keeps the length of features from 0, as its authors do. */
const epsilon = 1e-10

/**
 * How far images are apart to a network: squared distances of its features, each position's scaled to length 1, averaged over
 * positions and summed over maps. arXiv 1801.03924, with equal weights of all channels
 * @param features gives the maps to compare
 * @param a [B, H, W, channels]
 * @param b of the same shape
 * @returns [B], 0 for equal images
 * @throws RangeError when the shapes differ or there are no feature maps
 */
export function perceptualDistance(features: FeatureFunction, a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor1D {
  requireShape('a', a, [null, null, null, null])
  requireShape('b', b, a.shape)
  return tf.tidy(() => {
    const [mapsOfA, mapsOfB] = [features(a), features(b)]
    if (mapsOfA.length === 0) throw new RangeError('features: expected at least one map, got none')
    return mapsOfA
      .map((map, i) => {
        requireShape(`features[${i}]`, map, [a.shape[0], null, null, null])
        return tf.mean(tf.sum(tf.squaredDifference(unit(map), unit(mapsOfB[i]!)), -1), [1, 2]) // [B]
      })
      .reduce((sum, distance) => tf.add(sum, distance)) as tf.Tensor1D
  })
}

/** Vectors of the last dimension, scaled to length 1; those of length 0 stay. */
function unit(x: tf.Tensor): tf.Tensor {
  return tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), -1, true), epsilon)))
}

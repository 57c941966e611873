import * as tf from '@tensorflow/tfjs-core'

/** Entropies, in nats, of codes made of independent bits. */
export interface BitEntropies {
  /** mean over vectors of the entropy of each one's own code, scalar */
  readonly perVector: tf.Scalar
  /** entropy of the mean distribution over codes: sum over groups of bits, scalar */
  readonly ofMean: tf.Scalar
}

/**
 * Entropies of soft binary codes, without a matrix of vectors times codes.
 *
 * A vector's distribution over its 2^d codes is a product over bits, so its entropy is the sum of d binary ones, exactly.
 * The mean distribution of a group of m bits comes from two half-groups by one matrix product, `P_a^T P_b`, so memory is
 * N 2^(m/2) + 2^m. Of several groups the entropies are added, which is an upper bound of the joint entropy.
 * @param logits of each bit, `[N, d]`
 * @param share of each vector, summing to 1, `[N]`
 * @param groupSize m; groups are consecutive bits, the last one may be smaller
 */
export function bitEntropies(logits: tf.Tensor2D, share: tf.Tensor1D, groupSize: number): BitEntropies {
  const d = logits.shape[1]
  const whole = Math.floor(d / groupSize) * groupSize
  const parts: tf.Scalar[] = []
  if (whole > 0) parts.push(entropyOfMean(tf.slice(logits, [0, 0], [-1, whole]), share, groupSize))
  if (whole < d) parts.push(entropyOfMean(tf.slice(logits, [0, whole], [-1, d - whole]), share, d - whole))
  // H(sigmoid(x)) = softplus(x) - x sigmoid(x)
  const binary = tf.sub(tf.softplus(logits), tf.mul(logits, tf.sigmoid(logits))) // [N, d]
  return {
    perVector: tf.sum(tf.mul(tf.sum(binary, 1), share)),
    ofMean: parts.reduce((sum, part) => tf.add(sum, part)),
  }
}

/**
 * The mean over vectors of each group's distribution over its codes, the first bit most significant.
 * @param logits `[N, G m]`
 * @param share `[N]`
 * @returns `[G, 2^m]`
 */
export function meanDistribution(logits: tf.Tensor2D, share: tf.Tensor1D, groupSize: number): tf.Tensor2D {
  const [n, d] = logits.shape
  const groups = d / groupSize
  const bits = tf.transpose(tf.reshape<tf.Rank.R3>(logits, [n, groups, groupSize]), [1, 0, 2]) // [G, N, m]
  const half = groupSize >> 1
  const low = products(tf.slice(bits, [0, 0, half], [-1, -1, -1])) // [G, N, 2^b]
  const weighted = tf.mul(low, tf.reshape(share, [1, n, 1]))
  if (half === 0) return tf.sum(weighted, 1)
  const high = products(tf.slice(bits, [0, 0, 0], [-1, -1, half])) // [G, N, 2^a]
  const mean = tf.matMul(tf.transpose(high, [0, 2, 1]), weighted) // [G, 2^a, 2^b]
  return tf.reshape<tf.Rank.R2>(mean, [groups, 2 ** groupSize])
}

function entropyOfMean(logits: tf.Tensor2D, share: tf.Tensor1D, groupSize: number): tf.Scalar {
  const mean = meanDistribution(logits, share, groupSize)
  return tf.neg(tf.sum(tf.mul(mean, tf.log(tf.maximum(mean, SMALLEST)))))
}

/** Keeps the logarithm, and its gradient, finite where a code is out of every vector's reach. */
const SMALLEST = 1e-8

/** Probabilities of all codes of m bits: `[G, N, m]` logits to `[G, N, 2^m]`. */
function products(logits: tf.Tensor3D): tf.Tensor3D {
  const [groups, n, m] = logits.shape
  let codes = tf.ones([groups, n, 1]) as tf.Tensor3D
  for (let i = 0; i < m; i++) {
    const bit = tf.slice(logits, [0, 0, i], [-1, -1, 1]) // [G, N, 1]
    const pair = [tf.mul(codes, tf.sigmoid(tf.neg(bit))), tf.mul(codes, tf.sigmoid(bit))]
    codes = tf.reshape(tf.stack(pair, 3), [groups, n, 2 ** (i + 1)])
  }
  return codes
}

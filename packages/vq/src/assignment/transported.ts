import * as tf from '@tensorflow/tfjs-core'
import { keyFor } from '../step.ts'
import { type Assignment, nearest } from './nearest.ts'
import { rowBlocks, untaped } from './rows.ts'
import { gumbel } from './sampled.ts'
import { distanceScore } from './scores.ts'

export interface SinkhornOptions {
  /** costs are multiplied by it: large is near the cheapest plan; default 10 */
  readonly epsilon?: number
  /** how often both sides are brought into balance; default 5 */
  readonly iterations?: number
  /** how costs are scaled: to spread 1 from 0 on, by the square root of d, or not; default `'spread'` */
  readonly scale?: 'spread' | 'dimension' | 'none'
  /** scores in a block of rows; default 2^19 */
  readonly cells?: number
}

/** A plan that gives every vector and every code the same mass: `Q_ik = v_i u_k exp(-epsilon cost_ik)`, rows of sum 1. */
export interface TransportPlan {
  /** u, `[K]` */
  readonly codeWeights: tf.Tensor1D
  /** v, `[N]`; 0 where a vector does not count */
  readonly rowWeights: tf.Tensor1D
  /** @returns the scaled costs of vectors `[n, d]`, `[n, K]` */
  cost(rows: tf.Tensor2D): tf.Tensor2D
}

/**
 * Sinkhorn's balancing of the plan that moves vectors to codes. arXiv 2412.15195
 *
 * The plan is kept as its two scalings: N + K numbers. Costs are computed again in each pass, block by block of rows; where
 * all of them fit into one block they are kept.
 * @param z `[N, d]`
 * @param codes `[K, d]`
 * @param counts 1 where a vector counts, else 0, `[N]`; null when all count
 */
export function sinkhorn(
  z: tf.Tensor2D,
  codes: tf.Tensor2D,
  counts: tf.Tensor1D | null,
  options: SinkhornOptions = {},
): TransportPlan {
  const { epsilon = 10, iterations = 5, scale = 'spread', cells } = options
  const [n, size] = [z.shape[0], codes.shape[0]]
  const weights = counts ?? tf.ones<tf.Rank.R1>([n]) // [N]
  const blocks = rowBlocks(n, size, cells)
  const distances = (rows: tf.Tensor2D): tf.Tensor2D => tf.neg(distanceScore(rows, codes))
  const held = blocks.length === 1 ? distances(z) : null
  /** One result of every block's distances, and of its part of what has a row per vector. */
  const each = (f: (distance: tf.Tensor2D, part: (x: tf.Tensor1D) => tf.Tensor1D) => tf.Tensor): tf.Tensor[] =>
    blocks.map(([from, count]) =>
      tf.tidy(() => f(held ?? distances(tf.slice(z, from, count)), (x) => tf.slice(x, from, count))),
    )
  const total = (f: Parameters<typeof each>[0]): tf.Tensor => tf.tidy(() => tf.addN(each(f)))

  const along = (x: tf.Tensor, v: tf.Tensor): tf.Tensor => tf.mul(x, tf.expandDims(v, 1))

  const counted = tf.maximum(tf.sum(weights), 1)
  const { shift, factor } = scaling()
  const cost = (distance: tf.Tensor): tf.Tensor2D => tf.mul(tf.sub(distance, shift), factor)
  const kernel = (distance: tf.Tensor): tf.Tensor2D => tf.exp(tf.mul(-epsilon, cost(distance))) // [n, K]

  let u: tf.Tensor = tf.ones([size])
  const mass = total((distance, part) => tf.sum(along(kernel(distance), part(weights))))
  let v: tf.Tensor = tf.div(weights, tf.add(mass, TINY))
  for (let i = 0; i < iterations; i++) {
    const codeMass = tf.mul(
      u,
      total((distance, part) => tf.sum(along(kernel(distance), part(v as tf.Tensor1D)), 0)),
    ) // [K]
    u = tf.div(tf.div(u, tf.add(codeMass, TINY)), size)
    const rowMass = tf.mul(v, tf.concat(each((distance) => tf.sum(tf.mul(kernel(distance), u), 1)))) // [N]
    v = tf.div(tf.div(v, tf.add(rowMass, TINY)), counted)
  }
  return {
    codeWeights: u as tf.Tensor1D,
    rowWeights: tf.mul(v, counted) as tf.Tensor1D,
    cost: (rows) => cost(distances(rows)),
  }

  /** What is taken from distances, and what they are multiplied by then. */
  function scaling(): { shift: tf.Tensor; factor: tf.Tensor } {
    if (scale === 'none') return { shift: tf.scalar(0), factor: tf.scalar(1) }
    if (scale === 'dimension') return { shift: tf.scalar(0), factor: tf.scalar(codes.shape[1] ** -0.5) }
    const pairs = tf.mul(counted, size)
    const mean = tf.div(
      total((distance, part) => tf.sum(along(distance, part(weights)))),
      pairs,
    )
    const squares = total((distance, part) => tf.sum(along(tf.squaredDifference(distance, mean), part(weights))))
    const deviation = tf.sqrt(tf.div(squares, tf.maximum(tf.sub(pairs, 1), 1)))
    const least = tf.min(
      tf.stack(
        each((distance, part) => {
          const out = tf.expandDims(tf.equal(part(weights), 0), 1)
          return tf.min(tf.add(distance, tf.mul(tf.cast(out, 'float32'), 1e30)))
        }),
      ),
    )
    return { shift: least, factor: tf.div(1, tf.add(deviation, 1e-6)) }
  }
}

/** Keeps sums from 0 where they divide. */
const TINY = 1e-8

export interface TransportedOptions extends Omit<SinkhornOptions, 'cells'> {
  /** whether a code is drawn by the plan (training then needs keys) or the one of the largest share taken; default true */
  readonly draw?: boolean
}

/**
 * In training gives every code its share of the batch's vectors, by optimal transport; otherwise takes the nearest code, so
 * that a vector's index does not depend on what stands beside it. arXiv 2412.15195
 */
export function transported(options: TransportedOptions = {}): Assignment {
  const { draw = true, epsilon = 10 } = options
  return (z, codes, { training, key, counts }) => {
    if (!training) return nearest(z, codes)
    const drawKey = draw ? keyFor('assignment', key) : undefined
    return untaped(() => {
      const { codeWeights, cost } = sinkhorn(z, codes, counts, options)
      const gains = tf.log(tf.maximum(codeWeights, 1e-37)) // [K]; the vector's own weight shifts all of its shares alike
      const picks = rowBlocks(z.shape[0], codes.shape[0]).map(([from, size], i) =>
        tf.tidy(() => {
          const shares = tf.sub(gains, tf.mul(epsilon, cost(tf.slice(z, from, size)))) // log, [n, K]
          const noisy = drawKey ? tf.add(shares, gumbel(drawKey.fold(i), [size, codes.shape[0]])) : shares
          return tf.argMax(noisy, 1)
        }),
      )
      return tf.concat(picks) as tf.Tensor1D
    })
  }
}

import * as tf from '@tensorflow/tfjs-core'
import {
  Activation,
  BaseModule,
  type Key,
  type Layer,
  Linear,
  lookup,
  requireFinite,
  requireInteger,
  requireLastDimension,
  requireShape,
  Sequential,
  silu,
  stopGradient,
} from '@x/core-gpu'
import { type CodeInitialiser, normalCodes } from '../codebooks/codebook.ts'
import { FreeCodebook } from '../codebooks/free.ts'
import { nearest } from '../assignment/nearest.ts'
import { straightThrough } from '../estimators/estimator.ts'
import { decodeRows, hideMasked, requireIndices } from '../indices.ts'
import { codebookLoss, commitmentLoss } from '../losses/losses.ts'
import type { Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'

export interface ImplicitOptions {
  readonly dim: number
  /** K, the number of codes of each layer */
  readonly codebookSize: number
  /** Q, how many layers there are */
  readonly layers: number
  /** width of the networks' hidden layers; default `dim` */
  readonly hidden?: number | undefined
  /** blocks in each network; default 4 */
  readonly depth?: number
  /** weight of the terms that keep residuals near their codes; default 0.25 */
  readonly commitment?: number
  /** weight of the terms that pull codes to residuals; default 1 */
  readonly codebookWeight?: number
  /** how many codes' images are held at once while the nearest is sought; default 65536 */
  readonly block?: number
  /** draws the first codes; default `normalCodes` */
  readonly init?: CodeInitialiser
  /** draws codes and networks */
  readonly key: Key
}

/**
 * Residual quantization with implicit neural codebooks: a network turns each layer's codes into those that suit what has
 * been said so far, so that every vector meets codes of its own.
 * arXiv 2401.14732
 *
 *     q_l = f_l(c_k, q_0 + ... + q_{l-1})   with k the nearest of all images of layer l's codes to the residual
 *
 * Images are made for a block of vectors at a time and let go; gradients pass through the chosen ones alone. The encoder
 * receives the gradient once.
 */
export class ImplicitResidualQuantizer extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  readonly codes: readonly FreeCodebook[]
  /** of every layer but the first */
  readonly networks: readonly ConditionedCodes[]
  readonly #options: Required<Pick<ImplicitOptions, 'commitment' | 'codebookWeight' | 'block'>>

  constructor(options: ImplicitOptions) {
    super()
    const { dim, codebookSize, layers, hidden = dim, depth = 4, init = normalCodes, key } = options
    const { commitment = 0.25, codebookWeight = 1, block = 65536 } = options
    requireInteger('layers', layers, 1)
    requireInteger('block', block, 1)
    const keys = key.split(2 * layers)
    this.dim = dim
    this.codebookSize = codebookSize
    this.codebooks = layers
    this.codes = Array.from({ length: layers }, (_, l) => new FreeCodebook(codebookSize, dim, { init, key: keys[l]! }))
    this.networks = Array.from(
      { length: layers - 1 },
      (_, l) => new ConditionedCodes(dim, hidden, depth, keys[layers + l]!),
    )
    this.#options = { commitment, codebookWeight, block }
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    requireFinite('z', z)
    const { training = false, mask } = options
    const lead = z.shape.slice(0, -1)
    if (mask) requireShape('mask', mask, lead)
    return tf.tidy(() => {
      const rows = tf.reshape<tf.Rank.R2>(z, [-1, this.dim]) // [N, d]
      const counts = mask ? tf.reshape<tf.Rank.R1>(tf.cast(mask, 'float32'), [-1]) : null
      const terms: Record<string, tf.Scalar> = {}
      const chosen: tf.Tensor1D[] = []
      let total = tf.zerosLike(rows) // [N, d], what has been said
      this.codes.forEach((codebook, l) => {
        const residual = tf.sub(rows, total) as tf.Tensor2D
        const indices = this.#nearest(l, residual, total)
        const q = this.#image(l, lookup(codebook.codes(), indices) as tf.Tensor2D, total)
        if (training) {
          const pairs = { z: residual, q, counts } as Parameters<ReturnType<typeof codebookLoss>>[0]
          terms[`layers.${l}.codebook`] = codebookLoss(this.#options.codebookWeight)(pairs)
          terms[`layers.${l}.commitment`] = commitmentLoss(this.#options.commitment)(pairs)
        }
        chosen.push(indices)
        total = tf.add(total, stopGradient(q))
      })
      const value = tf.reshape(straightThrough(rows, total), z.shape)
      const indices = tf.reshape(tf.stack(chosen, 1), this.codebooks === 1 ? lead : [...lead, this.codebooks])
      const loss = Object.values(terms).reduce<tf.Scalar>((sum, term) => tf.add(sum, term), tf.scalar(0))
      return { ...hideMasked(value, indices, mask), loss, terms }
    })
  }

  decode(indices: tf.Tensor): tf.Tensor {
    requireIndices('indices', indices, this.codebookSize)
    if (this.codebooks > 1) requireLastDimension('indices', indices, this.codebooks)
    return tf.tidy(() => {
      const flat = tf.reshape<tf.Rank.R2>(indices, [-1, this.codebooks]) // [N, Q]
      const lead = this.codebooks === 1 ? indices.shape : indices.shape.slice(0, -1)
      let total = tf.zeros([flat.shape[0], this.dim]) as tf.Tensor2D
      this.codes.forEach((codebook, l) => {
        const own = tf.reshape(tf.slice(flat, [0, l], [-1, 1]), [-1]) // [N]
        const kept = tf.cast(tf.greaterEqual(own, tf.scalar(0, 'int32')), 'float32')
        const code = decodeRows(codebook.codes(), own) as tf.Tensor2D
        total = tf.add(total, tf.mul(this.#image(l, code, total), tf.expandDims(kept, 1)))
      })
      return tf.reshape(total, [...lead, this.dim])
    })
  }

  /** @returns the codes before the networks, `[Q, K, d]` */
  codebook(): tf.Tensor {
    return tf.tidy(() => tf.stack(this.codes.map((codebook) => codebook.codes())))
  }

  /** Codes `[N, d]` of layer l, each as it is after what has been said. */
  #image(l: number, codes: tf.Tensor2D, said: tf.Tensor2D): tf.Tensor2D {
    return l === 0 ? codes : this.networks[l - 1]!.forward(codes, said)
  }

  /** The nearest of each vector's own images of the codes, int32 `[N]`; leaves nothing to differentiate behind. */
  #nearest(l: number, residual: tf.Tensor2D, said: tf.Tensor2D): tf.Tensor1D {
    const [n, d] = residual.shape
    if (l === 0) return nearest(residual, this.codes[0]!.codes())
    const K = this.codebookSize
    const rows = Math.max(1, Math.floor(this.#options.block / K))
    const search = tf.customGrad((left, save) => {
      ;(save as tf.GradSaveFunc)([])
      const codes = this.codes[l]!.codes()
      const found: tf.Tensor[] = [tf.zeros([0], 'int32')]
      for (let from = 0; from < n; from += rows)
        found.push(
          tf.tidy(() => {
            const b = Math.min(rows, n - from)
            const part = tf.slice(left as tf.Tensor2D, [from, 0], [b, d])
            const before = tf.tile(tf.expandDims(tf.slice(said, [from, 0], [b, d]), 1), [1, K, 1]) // [b, K, d]
            const images = this.#image(l, tf.tile(codes, [b, 1]), tf.reshape<tf.Rank.R2>(before, [b * K, d]))
            const off = tf.sub(tf.reshape(images, [b, K, d]), tf.expandDims(part, 1))
            return tf.argMin(tf.sum(tf.square(off), 2), 1) // [b]
          }),
        )
      return {
        value: tf.cast(tf.concat(found), 'float32'),
        gradFunc: () => tf.zeros([n, d]),
      }
    })
    return tf.cast(search(residual), 'int32') as tf.Tensor1D
  }
}

/** Codes as they are under a condition: `c + W [c, x] + b`, then residual blocks. */
class ConditionedCodes extends BaseModule {
  readonly join: Linear
  readonly blocks: readonly Layer[]

  constructor(dim: number, hidden: number, depth: number, key: Key) {
    super()
    const keys = key.split(2 * depth + 1)
    this.join = new Linear(2 * dim, dim, { key: keys[2 * depth]! })
    this.blocks = Array.from(
      { length: depth },
      (_, i) =>
        new Sequential(
          new Linear(dim, hidden, { key: keys[2 * i]! }),
          new Activation(silu),
          new Linear(hidden, dim, { key: keys[2 * i + 1]! }),
        ),
    )
  }

  /** @param codes `[n, d]` @param said `[n, d]` */
  forward(codes: tf.Tensor2D, said: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const joined = tf.add(codes, this.join.forward(tf.concat([codes, said], 1)))
      return this.blocks.reduce((x, block) => tf.add(x, block.forward(x)), joined) as tf.Tensor2D
    })
  }
}

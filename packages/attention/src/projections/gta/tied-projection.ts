import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, Linear } from '@x/core-gpu'
import type { Streams } from '../../caches/cache.ts'
import { forAllHeads, splitHeads } from '../heads.ts'
import type { Projection, ProjectionContext, View, ViewSizes } from '../projection.ts'

export interface TiedProjectionOptions {
  /** D */
  readonly dim: number
  readonly heads: number
  /** g, heads of what keys and values share */
  readonly groups: number
  readonly headDim: number
  readonly bias: boolean
  readonly key: Key
}

/**
 * Keys and values made of one vector for each group: it is the value, and its first half the first half of the key; the
 * second half turns, and is one for all groups. arXiv 2505.21487
 */
export class TiedProjection extends BaseModule implements Projection {
  readonly q: Linear
  readonly tied: Linear
  readonly shared: Linear
  readonly dim: number
  readonly heads: number
  readonly groups: number
  readonly keyWidth: number
  readonly canTurnValues = false as const
  readonly takesFirstValues = false as const
  readonly streams: Streams

  constructor({ dim, heads, groups, headDim, bias, key }: TiedProjectionOptions) {
    super()
    const [qKey, tiedKey, sharedKey] = key.split(3) as [Key, Key, Key]
    this.q = new Linear(dim, heads * headDim, { key: qKey, bias })
    this.tied = new Linear(dim, groups * headDim, { key: tiedKey, bias })
    this.shared = new Linear(dim, headDim / 2, { key: sharedKey, bias })
    this.dim = dim
    this.heads = heads
    this.groups = groups
    this.keyWidth = headDim
    this.streams = { tied: [groups, headDim], shared: [1, headDim / 2] }
  }

  get valueWidth(): number {
    return this.keyWidth
  }

  get turnedWidth(): number {
    return this.keyWidth / 2
  }

  queries(x: tf.Tensor3D, { turn }: ProjectionContext): tf.Tensor4D {
    const [still, turning] = tf.split(splitHeads(this.q.forward(x), this.heads), 2, 3) as [tf.Tensor4D, tf.Tensor4D]
    return tf.concat([still, turn(turning)], 3)
  }

  tokens(x: tf.Tensor3D, { turn }: ProjectionContext): Record<string, tf.Tensor4D> {
    return {
      tied: splitHeads(this.tied.forward(x), this.groups),
      shared: turn(splitHeads(this.shared.forward(x), 1)),
    }
  }

  /** Puts keys together: of a cache, those of the tokens that are stored. */
  view(q: tf.Tensor4D, { tied, shared }: Readonly<Record<string, tf.Tensor4D>>, { keys }: ViewSizes): View {
    const half = this.keyWidth / 2
    const first = tf.slice(tied!, [0, 0, 0, 0], [-1, -1, keys, half])
    const second = shared!.shape[2] === keys ? shared! : tf.slice(shared!, [0, 0, 0, 0], [-1, -1, keys, -1])
    const v = tied!.shape[2] === keys ? tied! : tf.slice(tied!, [0, 0, 0, 0], [-1, -1, keys, -1])
    return { q, k: tf.concat([first, forAllHeads(second, this.groups)], 3), v }
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, type Layer, Linear, requireShape, RmsNorm, Sequential, variable } from '@x/core-gpu'
import type { Streams } from '../caches/cache.ts'
import { splitHeads } from './heads.ts'
import type { Projection, ProjectionContext, View } from './projection.ts'

export interface GroupedProjectionOptions {
  /** D */
  readonly dim: number
  /** width of what keys and values are made of; default `dim` */
  readonly contextDim?: number | undefined
  readonly heads: number
  /** g, heads of keys and values */
  readonly groups: number
  readonly headDim: number
  readonly valueDim: number
  /** rank of the queries' projection (arXiv 2412.19255); default: full */
  readonly queryRank?: number | undefined
  /** of queries, keys and values */
  readonly bias: boolean
  /** whether queries and keys are normalised per head before they turn */
  readonly qkNorm: boolean
  readonly normEpsilon: number
  /** whether values of the first layer are mixed in (arXiv 2410.17897) */
  readonly valueResidual: boolean
  readonly key: Key
}

/** Queries of h heads, keys and values of g heads, each of which serves h / g heads of queries. */
export class GroupedProjection extends BaseModule implements Projection {
  readonly q: Layer
  readonly k: Linear
  readonly v: Linear
  readonly qNorm: RmsNorm | null
  readonly kNorm: RmsNorm | null
  /** share of the layer's own values */
  readonly mix: tf.Variable | null
  readonly dim: number
  readonly heads: number
  readonly groups: number
  readonly keyWidth: number
  readonly valueWidth: number
  readonly normEpsilon: number
  readonly canTurnValues = true as const
  readonly readsHalves = true as const
  readonly streams: Streams

  constructor(options: GroupedProjectionOptions) {
    super()
    const { dim, contextDim = dim, heads, groups, headDim, valueDim, queryRank, bias, qkNorm, normEpsilon } = options
    const [qKey, kKey, vKey] = options.key.split(3) as [Key, Key, Key]
    if (queryRank === undefined) this.q = new Linear(dim, heads * headDim, { key: qKey, bias })
    else {
      const [downKey, upKey] = qKey.split(2) as [Key, Key]
      const down = new Linear(dim, queryRank, { key: downKey, bias: false })
      this.q = new Sequential(down, new Linear(queryRank, heads * headDim, { key: upKey, bias }))
    }
    this.k = new Linear(contextDim, groups * headDim, { key: kKey, bias })
    this.v = new Linear(contextDim, groups * valueDim, { key: vKey, bias })
    this.qNorm = qkNorm ? new RmsNorm(headDim, { epsilon: normEpsilon }) : null
    this.kNorm = qkNorm ? new RmsNorm(headDim, { epsilon: normEpsilon }) : null
    this.mix = options.valueResidual ? variable(tf.scalar(0.5)) : null
    this.dim = dim
    this.heads = heads
    this.groups = groups
    this.keyWidth = headDim
    this.valueWidth = valueDim
    this.normEpsilon = normEpsilon
    this.streams = { k: [groups, headDim], v: [groups, valueDim] }
  }

  get takesFirstValues(): boolean {
    return this.mix !== null
  }

  get turnedWidth(): number {
    return this.keyWidth
  }

  queries(x: tf.Tensor3D, { turn }: ProjectionContext): tf.Tensor4D {
    const q = splitHeads(this.q.forward(x), this.heads)
    return turn((this.qNorm ? this.qNorm.forward(q) : q) as tf.Tensor4D)
  }

  tokens(x: tf.Tensor3D, { turn, turnsValues, firstValues }: ProjectionContext): Record<string, tf.Tensor4D> {
    const k = splitHeads(this.k.forward(x), this.groups)
    let v = this.values(x)
    if (this.mix) {
      if (!firstValues) throw new RangeError('firstValues: expected those of the first layer, got none')
      requireShape('firstValues', firstValues, v.shape)
      v = tf.add(tf.mul(v, this.mix), tf.mul(firstValues, tf.sub(1, this.mix)))
    }
    return { k: turn((this.kNorm ? this.kNorm.forward(k) : k) as tf.Tensor4D), v: turnsValues ? turn(v) : v }
  }

  /** @returns [B, g, L, dv], before anything is mixed in or turns */
  values(x: tf.Tensor3D): tf.Tensor4D {
    return tf.tidy(() => splitHeads(this.v.forward(x), this.groups))
  }

  view(q: tf.Tensor4D, { k, v }: Readonly<Record<string, tf.Tensor4D>>): View {
    return { q, k: k!, v: v! }
  }
}

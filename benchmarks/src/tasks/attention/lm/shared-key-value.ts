import * as tf from '@tensorflow/tfjs-core'
import {
  type Projection,
  type ProjectionContext,
  SoftmaxAttention,
  type Streams,
  type View,
  voRope,
} from '@x/attention'
import { BaseModule, type Key, Linear } from '@x/core-gpu'

export interface SharedKeyValueOptions {
  readonly dim: number
  readonly heads: number
  /** width of the one row that is key and value of all heads */
  readonly width: number
  /** how many of its numbers turn, as key and as value */
  readonly ropeDim: number
  readonly key: Key
}

/** One row for each token, which all heads read as key and as value: what is left of MLA without its second projection. */
class SharedKeyValue extends BaseModule implements Projection {
  readonly q: Linear
  readonly kv: Linear
  readonly dim: number
  readonly heads: number
  readonly keyWidth: number
  readonly valueWidth: number
  readonly turnedWidth: number
  readonly canTurnValues = true as const
  readonly takesFirstValues = false as const
  readonly streams: Streams

  constructor({ dim, heads, width, key }: SharedKeyValueOptions) {
    super()
    const [qKey, kvKey] = key.split(2) as [Key, Key]
    this.q = new Linear(dim, heads * width, { key: qKey, bias: false })
    this.kv = new Linear(dim, width, { key: kvKey, bias: false })
    this.dim = dim
    this.heads = heads
    this.keyWidth = this.valueWidth = this.turnedWidth = width
    this.streams = { kv: [1, width] }
  }

  queries(x: tf.Tensor3D, { turn }: ProjectionContext): tf.Tensor4D {
    const [batch, length] = x.shape
    const q = tf.reshape(this.q.forward(x), [batch, length, this.heads, this.keyWidth])
    return turn(tf.transpose(q, [0, 2, 1, 3]) as tf.Tensor4D)
  }

  tokens(x: tf.Tensor3D, { turn }: ProjectionContext): Record<string, tf.Tensor4D> {
    return { kv: turn(tf.expandDims(this.kv.forward(x), 1)) }
  }

  view(q: tf.Tensor4D, { kv }: Readonly<Record<string, tf.Tensor4D>>): View {
    return { q, k: kv!, v: kv! }
  }
}

/** Attention with one shared row; what turns in it as a value turns back with the output. Described at kexue.fm/archives/10907 and 10862 */
export function sharedKeyValue(options: SharedKeyValueOptions): SoftmaxAttention {
  const [projectionKey, key] = options.key.split(2) as [Key, Key]
  return new SoftmaxAttention({
    projection: new SharedKeyValue({ ...options, key: projectionKey }),
    positions: voRope({ dims: options.ropeDim, at: 'last' }),
    key,
  })
}

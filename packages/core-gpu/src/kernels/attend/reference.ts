import * as tf from '@tensorflow/tfjs-core'
import type { AttendGradientInputs } from './attend.ts'
import { type AttendAttributes, type AttendInputs, attendSizes } from './contract.ts'

// Scores of a chunk of queries, of which some 5 matrices exist at a time: 20 MiB.
const chunkScores = 1 << 20

// Below any score that means something, and finite: a hidden key's score.
const hidden = -3e38
const visibleFrom = -1e38

/** Attention in plain operations, chunk by chunk of the queries. */
export function attendReference(inputs: AttendInputs, attributes: AttendAttributes): [tf.Tensor4D, tf.Tensor3D] {
  const { batch, heads, queries, keys, valueWidth } = attendSizes(inputs.q, inputs.k, inputs.v)
  if (keys === 0 || queries === 0 || batch * heads === 0) {
    const none = tf.fill([batch, heads, queries], -Infinity) as tf.Tensor3D
    const { sinks } = inputs
    const logSumExp = sinks && none.size > 0 ? tf.maximum(none, tf.reshape(sinks, [heads, 1])) : none
    return [tf.zeros([batch, heads, queries, valueWidth]), logSumExp as tf.Tensor3D]
  }
  const known = inputs.lengths ? { ...inputs, v: withoutRest(inputs.v, inputs.lengths) } : inputs
  const outputs: tf.Tensor4D[] = []
  const sums: tf.Tensor3D[] = []
  for (const rows of chunks(batch * heads * keys, queries)) {
    const [output, logSumExp] = tf.tidy(() => attendRows(known, attributes, rows))
    outputs.push(output)
    sums.push(logSumExp)
  }
  return [tf.concat(outputs, 2), tf.concat(sums, 2)]
}

/** v with 0 beyond the lengths, where a cache may hold anything: 0 times NaN is NaN. */
function withoutRest(v: tf.Tensor4D, lengths: tf.Tensor1D): tf.Tensor4D {
  const filled = tf.less(tf.reshape(tf.range(0, v.shape[2], 1, 'int32'), [-1, 1]), tf.reshape(lengths, [-1, 1, 1, 1]))
  return tf.where(filled, v, 0)
}

interface Rows {
  readonly from: number
  readonly count: number
}

function chunks(scoresPerRow: number, rows: number): Rows[] {
  const size = Math.max(1, Math.floor(chunkScores / scoresPerRow))
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => ({
    from: i * size,
    count: Math.min(size, rows - i * size),
  }))
}

function attendRows(
  inputs: AttendInputs,
  attributes: AttendAttributes,
  rows: Rows,
): [output: tf.Tensor4D, logSumExp: tf.Tensor3D] {
  const { score, seen } = scores(inputs, attributes, rows)
  let most = tf.max(score, 3, true) // [B, h, rows, 1]
  const sinks = inputs.sinks && tf.reshape(inputs.sinks, [1, -1, 1, 1])
  if (sinks) most = tf.maximum(most, sinks)
  const weights = tf.where(seen, tf.exp(tf.sub(score, most)), 0) // [B, h, rows, S]
  let total = tf.sum(weights, 3, true) // [B, h, rows, 1]
  if (sinks) total = tf.add(total, tf.exp(tf.sub(sinks, most)))
  const some = tf.greater(total, 0)
  const divisor = tf.where(some, total, 1)
  const output = tf.div(perHead(weights, inputs.v, false), divisor) as tf.Tensor4D
  const logSumExp = tf.squeeze(tf.where(some, tf.add(most, tf.log(divisor)), -Infinity), [3])
  return [output, logSumExp as tf.Tensor3D]
}

interface Scores {
  /** [B, h, rows, S] */
  readonly score: tf.Tensor
  /** before bias and mask, where there is a softcap */
  readonly capped: tf.Tensor
  /** bool, broadcastable to the scores */
  readonly seen: tf.Tensor
}

function scores(inputs: AttendInputs, { scale, softcap, left, right }: AttendAttributes, rows: Rows): Scores {
  const { queries, keys } = attendSizes(inputs.q, inputs.k, inputs.v)
  const scaled = tf.mul(perHead(rowsOf(inputs.q, rows), inputs.k, true), scale) // [B, h, rows, S]
  const capped = softcap > 0 ? tf.mul(tf.tanh(tf.div(scaled, softcap)), softcap) : scaled
  const biased = inputs.bias ? tf.add(capped, rowsOf(inputs.bias, rows)) : capped

  const lengths = inputs.lengths
    ? tf.minimum(tf.maximum(tf.reshape(inputs.lengths, [-1, 1, 1, 1]), tf.scalar(0, 'int32')), tf.scalar(keys, 'int32'))
    : tf.scalar(keys, 'int32')
  const key = tf.range(0, keys, 1, 'int32') // [S]
  const row = tf.reshape(tf.range(rows.from, rows.from + rows.count, 1, 'int32'), [rows.count, 1])
  const position = tf.add(row, tf.sub(lengths, tf.scalar(queries, 'int32'))) // [B, 1, rows, 1]
  const distance = tf.sub(key, position) // [B, 1, rows, S]
  let visible = tf.logicalAnd(tf.lessEqual(distance, right), tf.greaterEqual(distance, -left))
  visible = tf.logicalAnd(visible, tf.less(key, lengths))
  if (inputs.mask) visible = tf.logicalAnd(visible, rowsOf(inputs.mask, rows))
  const score = tf.where(visible, biased, hidden)
  return { score, capped, seen: tf.greater(score, visibleFrom) }
}

/** The gradients of attention in plain operations: [dq, dk, dv, dBias?, dSinks?]. */
export function attendGradientReference(inputs: AttendGradientInputs, attributes: AttendAttributes): tf.Tensor[] {
  const { batch, heads, queries, keys } = attendSizes(inputs.q, inputs.k, inputs.v)
  const sums: Record<string, tf.Tensor> = {}
  const add = (name: string, x: tf.Tensor): void => {
    const last = sums[name]
    sums[name] = last ? tf.add(last, x) : x
    if (last) tf.dispose([last, x])
  }
  const dq: tf.Tensor[] = []
  const dBias: tf.Tensor[] = []
  const biasHasRows = inputs.bias !== undefined && inputs.bias.shape[2] > 1
  if (inputs.q.size > 0 && keys > 0) {
    for (const rows of chunks(batch * heads * keys, queries)) {
      const gradients = tf.tidy(() => rowGradients(inputs, attributes, rows))
      dq.push(gradients['q']!)
      add('k', gradients['k']!)
      add('v', gradients['v']!)
      if (!gradients['bias']) continue
      if (biasHasRows) dBias.push(gradients['bias'])
      else add('bias', gradients['bias'])
    }
  }
  const zeroIfNone = (x: tf.Tensor | undefined, like: tf.Tensor): tf.Tensor => x ?? tf.zerosLike(like)
  return [
    zeroIfNone(dq.length > 0 ? tf.concat(dq, 2) : undefined, inputs.q),
    zeroIfNone(sums['k'], inputs.k),
    zeroIfNone(sums['v'], inputs.v),
    ...(inputs.bias ? [zeroIfNone(dBias.length > 0 ? tf.concat(dBias, 2) : sums['bias'], inputs.bias)] : []),
    ...(inputs.sinks ? [sinkGradient(inputs, inputs.sinks)] : []),
  ]
}

/** What the rows add to each gradient: d score = P (dP - Delta + d logSumExp). */
function rowGradients(
  inputs: AttendGradientInputs,
  attributes: AttendAttributes,
  rows: Rows,
): Record<string, tf.Tensor> {
  const { score, capped, seen } = scores(inputs, attributes, rows)
  const lse = tf.expandDims(rowsOf(inputs.logSumExp, rows), 3) // [B, h, rows, 1]
  const weights = tf.where(seen, tf.exp(tf.sub(score, finite(lse))), 0) // [B, h, rows, S]
  const dOutput = rowsOf(inputs.dOutput, rows)
  const delta = tf.expandDims(rowsOf(upstreamOfSum(inputs), rows), 3) // [B, h, rows, 1]
  const dScore = tf.mul(weights, tf.add(perHead(dOutput, inputs.v, true), delta)) // [B, h, rows, S]
  let dScaled: tf.Tensor = tf.mul(dScore, attributes.scale)
  if (attributes.softcap > 0) dScaled = tf.mul(dScaled, tf.sub(1, tf.square(tf.div(capped, attributes.softcap))))
  return {
    q: perHead(dScaled, inputs.k, false),
    k: overHeads(dScaled, rowsOf(inputs.q, rows), inputs.k),
    v: overHeads(weights, dOutput, inputs.v),
    ...(inputs.bias && { bias: sumTo(dScore, rowsOf(inputs.bias, rows).shape) }),
  }
}

/** d logSumExp - Delta, Delta = dO . o, [B, h, L]. */
function upstreamOfSum({ dOutput, output, logSumExp, dLogSumExp }: AttendGradientInputs): tf.Tensor3D {
  // tfjs's own wasm kernels give garbage for a sum over nothing.
  const delta = output.size === 0 ? tf.zerosLike(logSumExp) : tf.sum(tf.mul(dOutput, output), 3)
  return (dLogSumExp ? tf.sub(dLogSumExp, delta) : tf.neg(delta)) as tf.Tensor3D
}

/** A sink is a key without a value, for which dP = 0. */
function sinkGradient(inputs: AttendGradientInputs, sinks: tf.Tensor1D): tf.Tensor {
  if (inputs.logSumExp.size === 0) return tf.zerosLike(sinks)
  const weights = tf.exp(tf.sub(tf.reshape(sinks, [-1, 1]), finite(inputs.logSumExp))) // [B, h, L]
  return tf.sum(tf.mul(weights, upstreamOfSum(inputs)), [0, 2])
}

/** logSumExp, and 0 where a row saw nothing. */
function finite(logSumExp: tf.Tensor): tf.Tensor {
  return tf.where(tf.greater(logSumExp, visibleFrom), logSumExp, 0)
}

/** x [B, h, n, a] times other [B, g, ...] of the head's group, without repeating it. */
function perHead(x: tf.Tensor, other: tf.Tensor, transpose: boolean): tf.Tensor {
  const [batch, heads, rows, inner] = x.shape as [number, number, number, number]
  const groups = other.shape[1]!
  const grouped = tf.reshape(x, [batch * groups, (heads / groups) * rows, inner])
  const product = tf.matMul(grouped, tf.reshape(other, [batch * groups, ...other.shape.slice(2)]), false, transpose)
  return tf.reshape(product, [batch, heads, rows, product.shape[2]!])
}

/** x^T y of every head, summed over the heads of a group: [B, h, n, S] and [B, h, n, a] give the shape of `like`, [B, g, S, a]. */
function overHeads(x: tf.Tensor, y: tf.Tensor, like: tf.Tensor): tf.Tensor {
  const [batch, heads, rows] = x.shape as [number, number, number]
  const groups = like.shape[1]!
  const grouped = (z: tf.Tensor): tf.Tensor => tf.reshape(z, [batch * groups, (heads / groups) * rows, z.shape[3]!])
  return tf.reshape(tf.matMul(grouped(x), grouped(y), true, false), like.shape)
}

/** The rows of a tensor whose axis 2 are queries, or that is the same for all of them. */
function rowsOf<T extends tf.Tensor>(x: T, { from, count }: Rows): T {
  if (x.shape[2] === 1 || (from === 0 && count === x.shape[2])) return x
  const begin = x.shape.map((_, axis) => (axis === 2 ? from : 0))
  return tf.slice(
    x,
    begin,
    x.shape.map((size, axis) => (axis === 2 ? count : size)),
  )
}

function sumTo(x: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const axes = shape.flatMap((size, axis) => (size === 1 && x.shape[axis]! > 1 ? [axis] : []))
  return axes.length > 0 ? tf.sum(x, axes, true) : x
}

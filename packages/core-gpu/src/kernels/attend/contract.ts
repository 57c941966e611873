import * as tf from '@tensorflow/tfjs-core'
import { describeShape, describeValue, requireShape, requireTensor } from '../../validation/validation.ts'

/** How attention scores its keys. */
export interface AttendOptions {
  /** factor of q.k; default d^-1/2 */
  readonly scale?: number
  /** whether a query sees no later key; the last query stands at the last key (bottom-right aligned), so L and S may differ */
  readonly causal?: boolean
  /**
   * How many of the last keys a query sees, its own included, and none that is later; or how many to its left and to its
   * right, its own apart.
   */
  readonly window?: number | readonly [left: number, right: number]
  /** c of c tanh(score / c), after the scale */
  readonly softcap?: number
  /** added to the scores after `softcap`, float32 broadcastable to [B, h, L, S]; -Infinity hides a key */
  readonly bias?: tf.Tensor
  /** true where a query may see a key, bool broadcastable to [B, h, L, S] */
  readonly mask?: tf.Tensor
  /** one more score for each head that takes part in the softmax and has no value, [h] */
  readonly sinks?: tf.Tensor1D
}

/** What attention gives. */
export interface Attended {
  /** [B, h, L, dv]; 0 for a query that sees no key */
  readonly output: tf.Tensor4D
  /** natural logarithm of the sum of exp(score) over what a query sees, sinks included, [B, h, L]; -Infinity where it sees nothing */
  readonly logSumExp: tf.Tensor3D
}

/**
 * The tensors of the kernels XAttend and, with `lengths`, XAttendCached: `bias` and `mask` have rank 4, each of their
 * sizes 1 or full.
 *
 * Both kernels give [output, logSumExp].
 */
export interface AttendInputs {
  readonly q: tf.Tensor4D
  readonly k: tf.Tensor4D
  readonly v: tf.Tensor4D
  readonly bias?: tf.Tensor4D
  readonly mask?: tf.Tensor4D
  readonly sinks?: tf.Tensor1D
  /** how many keys there are, int32 [B]; all S where it is absent */
  readonly lengths?: tf.Tensor1D
}

/** The numbers of those kernels: query i, counted so that the last one stands at the last key, sees keys i - left ... i + right. */
export interface AttendAttributes {
  readonly scale: number
  /** 0 for none */
  readonly softcap: number
  /** `unbounded` for no limit */
  readonly left: number
  readonly right: number
}

/** More keys than there can be, and small enough that sums of positions stay in int32. */
const unbounded: number = 2 ** 30

/** B, h, g, L, S, d and dv of attention. */
export interface AttendSizes {
  readonly batch: number
  readonly heads: number
  readonly groups: number
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly valueWidth: number
}

type Sized = Pick<tf.TensorInfo, 'shape'> & { readonly dtype?: tf.DataType }

/** The sizes of tensors that fit one another. */
export function attendSizes(q: Sized, k: Sized, v: Sized): AttendSizes {
  const [batch, heads, queries, width] = q.shape as [number, number, number, number]
  const [, groups, keys] = k.shape as [number, number, number, number]
  return { batch, heads, groups, queries, keys, width, valueWidth: storedWidth(v) }
}

/**
 * The tensors of a call as the kernels take them; `bias` and `mask` are new ones, to be disposed. With `half`, k and v
 * may be int32, as `packHalf` makes them.
 * @throws TypeError when something is no tensor
 * @throws RangeError when a shape or an element type does not fit
 */
export function attendInputs(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  options: AttendOptions,
  { half = false }: { half?: boolean } = {},
): AttendInputs {
  requireFloats('q', q, [null, null, null, null])
  const [batch, heads, queries, width] = q.shape
  requireStored('k', k, [batch, null, null], width, half)
  const [, groups, keys] = k.shape
  if (width === 0) throw new RangeError(`q: expected d >= 1, got ${describeShape(q.shape)}`)
  if (groups === 0 || heads % groups !== 0)
    throw new RangeError(`k: expected a number of heads that divides q's ${heads}, got ${describeShape(k.shape)}`)
  requireStored('v', v, [batch, groups, keys], null, half)
  const { bias, mask, sinks } = options
  if (sinks !== undefined) requireFloats('sinks', sinks, [heads])
  const scores = [batch, heads, queries, keys]
  return {
    q,
    k,
    v,
    ...(bias !== undefined && { bias: asScores('bias', bias, 'float32', scores) }),
    ...(mask !== undefined && { mask: asScores('mask', mask, 'bool', scores) }),
    ...(sinks !== undefined && { sinks }),
  }
}

function requireFloats(name: string, x: tf.Tensor, shape: readonly (number | null)[]): void {
  requireShape(name, x, shape)
  if (x.dtype !== 'float32') throw new RangeError(`${name}: expected float32, got ${x.dtype}`)
}

function requireStored(
  name: string,
  x: tf.Tensor,
  outer: readonly (number | null)[],
  width: number | null,
  half: boolean,
): void {
  requireTensor(name, x)
  if (half && x.dtype === 'int32') requireShape(name, x, [...outer, width === null ? null : width / 2])
  else requireFloats(name, x, [...outer, width])
}

/** The last dimension of k or v, which are packed two to an element where they are int32. */
function storedWidth({ shape, dtype }: Sized): number {
  return dtype === 'int32' ? shape[3]! * 2 : shape[3]!
}

/** A tensor of rank 4 that broadcasts to the scores. */
function asScores(name: string, x: tf.Tensor, dtype: tf.DataType, scores: readonly number[]): tf.Tensor4D {
  requireTensor(name, x)
  if (x.dtype !== dtype) throw new RangeError(`${name}: expected ${dtype}, got ${x.dtype}`)
  const shape = [...scores.map(() => 1), ...x.shape].slice(-4)
  if (x.rank > 4 || shape.some((size, axis) => size !== 1 && size !== scores[axis]))
    throw new RangeError(
      `${name}: expected a shape that broadcasts to ${describeShape(scores)}, got ${describeShape(x.shape)}`,
    )
  return tf.reshape(x, shape as [number, number, number, number])
}

/**
 * The numbers of a call as the kernels take them.
 * @throws RangeError when one is out of its range
 */
export function attendAttributes(width: number, options: AttendOptions): AttendAttributes {
  const { scale = width ** -0.5, causal = false, window, softcap } = options
  if (!Number.isFinite(scale)) throw new RangeError(`scale: expected a finite number, got ${describeValue(scale)}`)
  if (softcap !== undefined && !(softcap > 0))
    throw new RangeError(`softcap: expected a number > 0, got ${describeValue(softcap)}`)
  const [left, right] = window === undefined ? [unbounded, unbounded] : windowBounds(window)
  return {
    scale,
    softcap: softcap === undefined || softcap === Infinity ? 0 : softcap,
    left: Math.min(left, unbounded),
    right: causal ? 0 : Math.min(right, unbounded),
  }
}

function windowBounds(window: number | readonly [number, number]): readonly [number, number] {
  const whole = (x: number, least: number): boolean => x === Infinity || (Number.isInteger(x) && x >= least)
  if (typeof window === 'number') {
    if (!whole(window, 1)) throw new RangeError(`window: expected a whole number >= 1, got ${describeValue(window)}`)
    return [window - 1, 0]
  }
  if (window.length !== 2 || !window.every((x) => whole(x, 0)))
    throw new RangeError(`window: expected two whole numbers >= 0, got [${window.join(', ')}]`)
  return window
}

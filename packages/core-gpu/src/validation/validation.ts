import * as tf from '@tensorflow/tfjs-core'

/** What came, in words short enough for an error message. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `"${value}"`
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (isTensorLike(value)) return `a tensor of shape ${describeShape(value.shape)}`
  return typeof value === 'object' ? `an object (${value.constructor?.name ?? 'Object'})` : `a ${typeof value}`
}

/** A shape as `[2, 3]`; free dimensions may be given as names. */
export function describeShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`
}

/**
 * Refuses a tensor whose last dimension differs from what the callee works on.
 * @throws TypeError when `x` is no tensor
 * @throws RangeError when the last dimension differs
 */
export function requireLastDimension(name: string, x: tf.Tensor, expected: number): void {
  requireTensor(name, x)
  const got = x.shape.at(-1)
  if (got !== expected)
    throw new RangeError(`${name}: expected shape [..., ${expected}], got ${describeShape(x.shape)}`)
}

/** @throws TypeError when `x` is no tensor */
export function requireTensor(name: string, x: unknown): asserts x is tf.Tensor {
  if (!isTensorLike(x)) throw new TypeError(`${name}: expected a tensor, got ${describeValue(x)}`)
}

/**
 * Refuses a tensor of another shape; `null` leaves a dimension free.
 * @throws RangeError naming the argument, what came and what was expected
 */
export function requireShape(name: string, x: tf.Tensor, expected: readonly (number | null)[]): void {
  requireTensor(name, x)
  const fits = x.shape.length === expected.length && expected.every((size, i) => size === null || size === x.shape[i])
  if (!fits) {
    const wanted = describeShape(expected.map((size) => size ?? '?'))
    throw new RangeError(`${name}: expected shape ${wanted}, got ${describeShape(x.shape)}`)
  }
}

/** @throws RangeError unless `value` is a whole number of at least `least` */
export function requireInteger(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new RangeError(`${name}: expected a whole number >= ${least}, got ${describeValue(value)}`)
}

function isTensorLike(value: unknown): value is tf.Tensor {
  return typeof value === 'object' && value !== null && 'dataId' in value && 'shape' in value && 'dtype' in value
}

/** Whether tensors can be read without waiting; not so on WebGPU. */
export function canReadSync(): boolean {
  return tf.getBackend() !== 'webgpu'
}

/**
 * Refuses NaN and Infinity, on backends that can be read without waiting.
 * @throws RangeError naming the first bad element
 */
export function requireFinite(name: string, x: tf.Tensor): void {
  if (!canReadSync()) return
  // One sum shows whether there is anything to look for.
  const total = tf.tidy(() => tf.sum(x).dataSync()[0]!)
  if (Number.isFinite(total)) return
  const at = x.dataSync().findIndex((value) => !Number.isFinite(value))
  if (at < 0) return
  const place = describeShape(tf.util.indexToLoc(at, x.rank, tf.util.computeStrides(x.shape)))
  throw new RangeError(`${name}: expected finite values, got ${x.dataSync()[at]} at ${place}`)
}

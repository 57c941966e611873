import * as tf from '@tensorflow/tfjs-core'
import { canReadSync, type Key, requireInteger, requireShape } from '@x/core-gpu'
import { alphaOf, type LogSnr, sigmaOf } from '../noise-level.ts'
import { type Distribution, requireLogSnr } from './distribution.ts'
import { symmetricEigen } from './symmetric-eigen.ts'

/** Numbers in one of a chunk's tensors: 2 MiB of float32, of which some ten are held at a time. */
const CELLS = 2 ** 19

/** Below every logit, and finite, so that differences of two of them are numbers. */
const NEVER = -3e38

export interface GaussianMixtureOptions {
  /** of each component, `[K][d]` */
  readonly means: readonly (readonly number[])[]
  /**
   * A variance for all; one for each component, `[K]`; one for each component and dimension, `[K][d]`; or a covariance
   * matrix for each, `[K][d][d]`. All positive (definite).
   */
  readonly covariances: number | readonly number[] | readonly (readonly number[] | readonly (readonly number[])[])[]
  /** `[K]`, positive, scaled to add up to 1; default: all alike */
  readonly weights?: readonly number[]
  /** a class for each component, `[K]`, by which conditions choose; default: none */
  readonly labels?: readonly number[]
  /** components taken at a time; default: as many as keep their tensors below 2 MiB */
  readonly chunk?: number
}

/** A mixture of Gaussians; conditions are int32 labels `[B]`, undefined for all components. */
export interface GaussianMixture extends Distribution<tf.Tensor> {
  readonly components: number
  /**
   * Which component a noisy sample came from, p(k | x).
   * @param x `[B, d]`
   * @returns `[B, K]`, the one result whose size is that of all pairs
   */
  responsibilities(x: tf.Tensor, logSnr: LogSnr, condition?: tf.Tensor): tf.Tensor2D
  sample(n: number, key: Key): tf.Tensor2D
  /**
   * Draws clean samples with their labels, or of the labels that are asked for.
   * @param labels `[n]`; default: drawn by weight
   * @returns x `[n, d]` and int32 labels `[n]`
   * @throws RangeError for a label that no component has, or where there are none
   */
  sampleLabelled(n: number, key: Key, labels?: ArrayLike<number>): { x: tf.Tensor2D; labels: tf.Tensor1D }
  /**
   * Draws x0 from p(x0 | x), exactly.
   * @param x `[B, d]`
   * @returns `[B, d]`
   */
  samplePosterior(x: tf.Tensor, logSnr: LogSnr, key: Key, condition?: tf.Tensor): tf.Tensor2D
}

/**
 * A mixture of Gaussians in any dimension, with its exact denoiser, density and posterior at every level.
 *
 * Components are taken in chunks, forward and backward, so that nothing of size B x K is held when there are many.
 * @throws RangeError naming the option that has a wrong length, or a variance or weight that is not positive
 */
export function gaussianMixture(options: GaussianMixtureOptions): GaussianMixture {
  return new StreamedMixture(options)
}

/** What the sums over a mixture's components are at some x and level. */
interface Level {
  readonly alpha: number
  /** alpha^2 and sigma^2 */
  readonly signal: number
  readonly noise: number
  readonly labels: tf.Tensor | undefined
}

/** Sums over some components at some x `[B, d]`, of whatever they are weighted with, `[k, B]`. */
interface Components {
  /** `[k, B]`, log of weight times density, without the constant of 2 pi */
  readonly logits: tf.Tensor
  /** of m_k = E[x0 | x, k], `[B, d]` */
  means(weights: tf.Tensor): tf.Tensor
  /** m_k times a vector for each x `[B, d]`, `[k, B]` */
  meansAlong(direction: tf.Tensor): tf.Tensor
  /** of the component's score, grad log N_k, `[B, d]` */
  scores(weights: tf.Tensor): tf.Tensor
  /** of d m_k / d x times a vector for each x, `[B, d]` */
  slopes(weights: tf.Tensor, direction: tf.Tensor): tf.Tensor
}

class StreamedMixture implements GaussianMixture {
  readonly shape: readonly number[]
  readonly components: number
  /** `[K, 1, d]` */
  readonly #means: tf.Tensor3D
  /** `[K, 1, d]`, or `[K, 1, 1]` where all dimensions have the same */
  readonly #variances: tf.Tensor3D
  /** `[K, d, d]`, axes in columns; undefined where they are those of x */
  readonly #axes: tf.Tensor3D | undefined
  /** `[K, 1]` */
  readonly #logWeights: tf.Tensor2D
  /** int32 `[K, 1]` */
  readonly #labels: tf.Tensor2D | undefined
  readonly #labelOf: readonly number[] | undefined
  readonly #weights: readonly number[]
  readonly #chunkSize: number | undefined

  constructor({ means, covariances, weights, labels, chunk }: GaussianMixtureOptions) {
    if (chunk !== undefined) requireInteger('chunk', chunk, 1)
    this.#chunkSize = chunk
    const k = means.length
    if (k === 0) throw new RangeError('means: expected at least one component, got none')
    const d = means[0]!.length
    if (d === 0) throw new RangeError('means: expected at least one dimension, got none')
    means.forEach((mean, i) => requireNumbers(`means[${i}]`, mean, d))
    this.#weights = normalised(weights ?? means.map(() => 1), k)
    if (labels) requireNumbers('labels', labels, k)
    labels?.forEach((label, i) => requireInteger(`labels[${i}]`, label, 0))
    this.#labelOf = labels && [...labels]
    const { variances, axes } = spectraOf(covariances, k, d)
    this.shape = [d]
    this.components = k
    this.#means = tf.tensor3d(means.flat(), [k, 1, d])
    this.#variances = tf.tensor3d(variances, [k, 1, variances.length / k])
    this.#axes = axes && tf.tensor3d(axes, [k, d, d])
    this.#logWeights = tf.tensor2d(this.#weights.map(Math.log), [k, 1])
    this.#labels = labels && tf.tensor2d([...labels], [k, 1], 'int32')
    // Made once, whatever scope this happens to be called in.
    for (const tensor of this.#tensors()) tf.keep(tensor)
  }

  readonly denoise = (x: tf.Tensor, logSnr: LogSnr, condition?: tf.Tensor): tf.Tensor => {
    const level = this.#level(x, logSnr, condition)
    const d = this.shape[0]!
    // The mean and, for the way back, the logarithm it was weighted with: only what a function returns may be saved.
    const summed = tf.customGrad((points, save) => {
      const at = points as tf.Tensor2D
      const { logTotal, mean } = this.#sums(at, level)
      const both = tf.concat([mean, tf.transpose(logTotal)], 1) // [B, d + 1]
      ;(save as tf.GradSaveFunc)([at, both])
      return {
        value: both,
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
          tf.tidy(() => {
            const [at, both] = saved as [tf.Tensor2D, tf.Tensor2D]
            const logTotal = tf.transpose(tf.slice(both, [0, d]))
            const towards = tf.slice(dy as tf.Tensor2D, [0, 0], [-1, d])
            return this.#pullBack(at, level, logTotal, tf.slice(both, [0, 0], [-1, d]), towards)
          }),
      }
    })
    return tf.tidy(() => tf.slice(summed(x) as tf.Tensor2D, [0, 0], [-1, d]))
  }

  logDensity(x: tf.Tensor, logSnr: LogSnr, condition?: tf.Tensor): tf.Tensor1D {
    const level = this.#level(x, logSnr, condition)
    const constant = (this.shape[0]! / 2) * Math.log(2 * Math.PI)
    const density = tf.customGrad((points, save) => {
      const at = points as tf.Tensor2D
      const value = tf.sub(tf.reshape(this.#logTotal(at, level), [-1]), constant)
      ;(save as tf.GradSaveFunc)([at, value])
      return {
        value,
        gradFunc: (dy: tf.Tensor, [at, value]: tf.Tensor[]) =>
          tf.tidy(() => {
            const logTotal = tf.expandDims(tf.add(value!, constant), 0)
            return tf.mul(tf.expandDims(dy, 1), this.#score(at as tf.Tensor2D, level, logTotal))
          }),
      }
    })
    return density(x) as tf.Tensor1D
  }

  responsibilities(x: tf.Tensor, logSnr: LogSnr, condition?: tf.Tensor): tf.Tensor2D {
    const level = this.#level(x, logSnr, condition)
    return tf.tidy(() => {
      const logTotal = this.#logTotal(x as tf.Tensor2D, level)
      const parts = this.#chunks(x).map(([from, size]) =>
        tf.tidy(() => tf.exp(tf.sub(this.#chunk(x as tf.Tensor2D, level, from, size).logits, logTotal))),
      )
      return tf.transpose(concat(parts), [1, 0]) as tf.Tensor2D
    })
  }

  sample(n: number, key: Key): tf.Tensor2D {
    return this.#drawn(n, key, undefined).x
  }

  sampleLabelled(n: number, key: Key, labels?: ArrayLike<number>): { x: tf.Tensor2D; labels: tf.Tensor1D } {
    const labelOf = this.#labelOf
    if (!labelOf) throw new RangeError('labels: expected a mixture with labels, got one without')
    if (labels && labels.length !== n) throw new RangeError(`labels: expected ${n} of them, got ${labels.length}`)
    const { x, chosen } = this.#drawn(n, key, labels)
    return {
      x,
      labels: tf.tensor1d(
        Array.from(chosen, (k) => labelOf[k]!),
        'int32',
      ),
    }
  }

  samplePosterior(x: tf.Tensor, logSnr: LogSnr, key: Key, condition?: tf.Tensor): tf.Tensor2D {
    const level = this.#level(x, logSnr, condition)
    const [choice, noise] = key.split(2) as [Key, Key]
    return tf.tidy(() => {
      const at = x as tf.Tensor2D
      const chosen = this.#chooseBy(at, level, choice)
      const mean = tf.reshape(tf.gather(this.#means, chosen), [at.shape[0], -1])
      const variance = tf.reshape(tf.gather(this.#variances, chosen), [at.shape[0], -1]) // [B, d] or [B, 1]
      const axes = this.#axes && (tf.gather(this.#axes, chosen) as tf.Tensor3D)
      const spread = tf.add(tf.mul(variance, level.signal), level.noise)
      const off = tf.sub(at, tf.mul(mean, level.alpha))
      const along = axes ? rowTimes(off, axes, false) : off
      const pull = tf.div(tf.mul(level.alpha, tf.mul(variance, along)), spread)
      const jitter = tf.mul(tf.sqrt(tf.div(tf.mul(variance, level.noise), spread)), noise.normal(at.shape))
      const moved = tf.add(pull, jitter)
      return tf.add(mean, axes ? rowTimes(moved, axes, true) : moved) as tf.Tensor2D
    })
  }

  dispose(): void {
    tf.dispose(this.#tensors())
  }

  #tensors(): tf.Tensor[] {
    const all = [this.#means, this.#variances, this.#axes, this.#logWeights, this.#labels]
    return all.filter((tensor) => tensor !== undefined)
  }

  #level(x: tf.Tensor, logSnr: LogSnr, condition: tf.Tensor | undefined): Level {
    requireShape('x', x, [null, this.shape[0]!])
    requireLogSnr('logSnr', logSnr)
    if (condition !== undefined) this.#requireLabels(condition, x.shape[0]!)
    const [alpha, sigma] = [alphaOf(logSnr), sigmaOf(logSnr)]
    return { alpha, signal: alpha * alpha, noise: sigma * sigma, labels: condition }
  }

  #requireLabels(condition: tf.Tensor, batch: number): void {
    const labelOf = this.#labelOf
    if (!labelOf) throw new RangeError('condition: expected none, for the mixture has no labels')
    requireShape('condition', condition, [batch])
    if (condition.dtype !== 'int32') throw new TypeError(`condition: expected int32, got ${condition.dtype}`)
    if (!canReadSync()) return
    const unknown = condition.dataSync().find((label) => !labelOf.includes(label))
    if (unknown !== undefined) throw new RangeError(`condition: no component has the label ${unknown}`)
  }

  #chunks(x: tf.Tensor): [number, number][] {
    const size = this.#chunkSize ?? Math.max(1, Math.floor(CELLS / Math.max(1, x.size)))
    const count = Math.ceil(this.components / size)
    return Array.from({ length: count }, (_, i) => [i * size, Math.min(size, this.components - i * size)])
  }

  #chunk(x: tf.Tensor2D, { alpha, signal, noise, labels }: Level, from: number, size: number): Components {
    const mean = tf.slice(this.#means, from, size)
    const variance = tf.slice(this.#variances, from, size)
    const axes = this.#axes && tf.slice(this.#axes, from, size)
    const spread = tf.add(tf.mul(signal, variance), noise)
    const gain = tf.div(tf.mul(alpha, variance), spread)
    const { distances, ...sums } = axes
      ? turned(x, alpha, mean, spread, gain, axes)
      : aligned(x, alpha, mean, spread, gain)
    const logDet = tf.mul(tf.sum(tf.log(spread), 2), x.shape[1] / variance.shape[2]) // [k, 1]
    const all = tf.sub(tf.slice(this.#logWeights, from, size), tf.mul(0.5, tf.add(distances, logDet)))
    if (!labels || !this.#labels) return { ...sums, logits: all }
    const chosen = tf.equal(tf.slice(this.#labels, from, size), tf.expandDims(labels, 0))
    return { ...sums, logits: tf.where(chosen, all, tf.fill(all.shape, NEVER)) }
  }

  /** ln of the sum of all, `[1, B]`, and the mean of x0, `[B, d]`, in one pass that rescales as greater terms come. */
  #sums(x: tf.Tensor2D, level: Level): { logTotal: tf.Tensor; mean: tf.Tensor } {
    const [n, d] = x.shape
    const first = [tf.fill([1, n], NEVER), tf.zeros([1, n]), tf.zeros([n, d])] as [tf.Tensor, tf.Tensor, tf.Tensor]
    const [peak, total, sum] = this.#fold(x, level, first, ([peak, total, sum], chunk) => {
      const next = tf.maximum(peak, tf.max(chunk.logits, 0, true))
      const rest = tf.exp(tf.sub(peak, next)) // [1, B]
      const share = tf.exp(tf.sub(chunk.logits, next)) // [k, B]
      const added = chunk.means(share)
      return [
        next,
        tf.add(tf.mul(total, rest), tf.sum(share, 0, true)),
        tf.add(tf.mul(sum, tf.reshape(rest, [n, 1])), added),
      ]
    })
    return { logTotal: tf.add(peak, tf.log(total)), mean: tf.div(sum, tf.reshape(total, [n, 1])) }
  }

  #logTotal(x: tf.Tensor2D, level: Level): tf.Tensor {
    const n = x.shape[0]
    const first = [tf.fill([1, n], NEVER), tf.zeros([1, n])] as [tf.Tensor, tf.Tensor]
    const [peak, total] = this.#fold(x, level, first, ([peak, total], { logits }) => {
      const next = tf.maximum(peak, tf.max(logits, 0, true))
      const share = tf.sum(tf.exp(tf.sub(logits, next)), 0, true)
      return [next, tf.add(tf.mul(total, tf.exp(tf.sub(peak, next))), share)]
    })
    return tf.add(peak, tf.log(total))
  }

  /** sum r_k s_k, `[B, d]` */
  #score(x: tf.Tensor2D, level: Level, logTotal: tf.Tensor): tf.Tensor {
    const [score] = this.#fold(x, level, [tf.zerosLike(x) as tf.Tensor], ([sum], chunk) => [
      tf.add(sum, chunk.scores(tf.exp(tf.sub(chunk.logits, logTotal)))),
    ])
    return score
  }

  /**
   * The transpose of the denoiser's Jacobian, sum r_k (A_k + s_k (m_k - D)^T), times dy: A_k is a component's own
   * Jacobian, s_k its score and m_k its posterior mean.
   */
  #pullBack(x: tf.Tensor2D, level: Level, logTotal: tf.Tensor, mean: tf.Tensor, dy: tf.Tensor): tf.Tensor {
    const towards = tf.reshape(tf.sum(tf.mul(mean, dy), 1), [1, -1])
    const [pulled] = this.#fold(x, level, [tf.zerosLike(x) as tf.Tensor], ([sum], chunk) => {
      const share = tf.exp(tf.sub(chunk.logits, logTotal)) // [k, B]
      const shift = tf.mul(share, tf.sub(chunk.meansAlong(dy), towards))
      return [tf.add(sum, tf.add(chunk.slopes(share, dy), chunk.scores(shift)))]
    })
    return pulled
  }

  /** Takes the chunks one after another; what a step made is freed when the next has been. */
  #fold<State extends tf.Tensor[]>(
    x: tf.Tensor2D,
    level: Level,
    first: State,
    step: (state: State, chunk: Components) => State,
  ): State {
    return this.#chunks(x).reduce<State>((state, [from, size]) => {
      const next = tf.tidy(() => step(state, this.#chunk(x, level, from, size)))
      tf.dispose(state)
      return next
    }, first)
  }

  /** A component for each x, int32 `[B]`, by the inverse of the distribution function. */
  #chooseBy(x: tf.Tensor2D, level: Level, key: Key): tf.Tensor1D {
    const n = x.shape[0]
    const logTotal = this.#logTotal(x, level)
    // Kept off 1, which sums of rounded shares may miss.
    const u = tf.reshape(key.uniform([n], { max: 1 - 1e-5 }), [1, n])
    const first = [tf.zeros([1, n]), tf.zeros([1, n])] as [tf.Tensor, tf.Tensor]
    const [, passed] = this.#fold(x, level, first, ([before, passed], { logits }) => {
      const upTo = tf.add(before, tf.cumsum(tf.exp(tf.sub(logits, logTotal)), 0)) // [k, B]
      const last = tf.slice(upTo, [upTo.shape[0]! - 1, 0], [1, n])
      return [last, tf.add(passed, tf.sum(tf.cast(tf.lessEqual(upTo, u), 'float32'), 0, true))]
    })
    return tf.cast(tf.minimum(tf.reshape(passed, [n]), this.components - 1), 'int32') as tf.Tensor1D
  }

  #drawn(n: number, key: Key, labels: ArrayLike<number> | undefined): { x: tf.Tensor2D; chosen: Int32Array } {
    requireInteger('n', n, 1)
    const [choice, noise] = key.split(2) as [Key, Key]
    const chosen = this.#choose(choice.bits(n), labels)
    const x = tf.tidy(() => {
      const index = tf.tensor1d(chosen, 'int32')
      const mean = tf.reshape(tf.gather(this.#means, index), [n, -1])
      const deviation = tf.sqrt(tf.reshape(tf.gather(this.#variances, index), [n, -1]))
      const off = tf.mul(deviation, noise.normal([n, this.shape[0]!]))
      return tf.add(mean, this.#axes ? rowTimes(off, tf.gather(this.#axes, index), true) : off) as tf.Tensor2D
    })
    return { x, chosen }
  }

  #choose(words: Uint32Array, labels: ArrayLike<number> | undefined): Int32Array {
    const tables = new Map<number | undefined, { components: number[]; upTo: number[] }>()
    const tableOf = (label: number | undefined): { components: number[]; upTo: number[] } => {
      const known = tables.get(label)
      if (known) return known
      const components = this.#weights.flatMap((_, k) =>
        label === undefined || this.#labelOf![k] === label ? [k] : [],
      )
      if (components.length === 0) throw new RangeError(`labels: no component has the label ${label}`)
      let total = 0
      const table = { components, upTo: components.map((k) => (total += this.#weights[k]!)) }
      tables.set(label, table)
      return table
    }
    return Int32Array.from(words, (word, i) => {
      const { components, upTo } = tableOf(labels?.[i])
      return components[firstAbove(upTo, word * 2 ** -32 * upTo.at(-1)!)]!
    })
  }
}

/** The first place whose value is greater, the last if none is. */
function firstAbove(rising: readonly number[], value: number): number {
  let [low, high] = [0, rising.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (rising[middle]! > value) high = middle
    else low = middle + 1
  }
  return low
}

type Sums = Omit<Components, 'logits'> & {
  /** `[k, B]`, squared and in units of the spread */
  readonly distances: tf.Tensor
}

/**
 * Components along the axes of x: only distances are taken number by number, `[k, B, d]`, for products would round them;
 * all else is a product with tables of the components.
 * @param mean `[k, 1, d]`
 * @param spread variances of x, `[k, 1, d]` or `[k, 1, 1]`
 * @param gain alpha variance / spread, alike: how far m_k follows x
 */
function aligned(x: tf.Tensor2D, alpha: number, mean: tf.Tensor, spread: tf.Tensor, gain: tf.Tensor): Sums {
  const [k, d] = [mean.shape[0]!, x.shape[1]]
  const squares = tf.squaredDifference(tf.expandDims(x, 0), tf.mul(alpha, mean)) // [k, B, d]
  const distances =
    spread.shape[2] === 1 ? tf.div(tf.sum(squares, 2), tf.reshape(spread, [k, 1])) : tf.sum(tf.div(squares, spread), 2)
  const wide = (table: tf.Tensor): tf.Tensor2D => tf.reshape(tf.add(table, tf.zerosLike(mean)), [k, d])
  const over = (weights: tf.Tensor, table: tf.Tensor): tf.Tensor => tf.matMul(weights, wide(table), true, false) // [B, d]
  const still = tf.mul(tf.sub(1, tf.mul(alpha, gain)), mean)
  return {
    distances,
    means: (weights) => tf.add(over(weights, still), tf.mul(x, over(weights, gain))),
    meansAlong: (direction) =>
      tf.add(
        tf.matMul(wide(still), direction as tf.Tensor2D, false, true),
        tf.matMul(wide(gain), tf.mul(x, direction), false, true),
      ),
    scores: (weights) =>
      tf.sub(over(weights, tf.div(tf.mul(alpha, mean), spread)), tf.mul(x, over(weights, tf.div(1, spread)))),
    slopes: (weights, direction) => tf.mul(direction, over(weights, gain)),
  }
}

/** Components with axes of their own `[k, d, d]`, taken number by number, `[k, B, d]`. */
function turned(
  x: tf.Tensor2D,
  alpha: number,
  mean: tf.Tensor,
  spread: tf.Tensor,
  gain: tf.Tensor,
  axes: tf.Tensor,
): Sums {
  const along = tf.matMul(tf.sub(tf.expandDims(x, 0), tf.mul(alpha, mean)), axes)
  const back = (values: tf.Tensor): tf.Tensor => tf.matMul(values, axes, false, true)
  const over = (weights: tf.Tensor, values: tf.Tensor): tf.Tensor =>
    tf.sum(tf.mul(tf.expandDims(weights, 2), values), 0)
  const means = (): tf.Tensor => tf.add(mean, back(tf.mul(gain, along)))
  return {
    distances: tf.sum(tf.div(tf.square(along), spread), 2),
    means: (weights) => over(weights, means()),
    meansAlong: (direction) => tf.sum(tf.mul(means(), direction), 2),
    scores: (weights) => tf.neg(over(weights, back(tf.div(along, spread)))),
    slopes: (weights, direction) => {
      const wide = tf.tile(tf.expandDims(direction, 0), [mean.shape[0]!, 1, 1])
      return over(weights, back(tf.mul(gain, tf.matMul(wide, axes))))
    },
  }
}

/** Each row times a matrix of its own, `[B, d]`. */
function rowTimes(rows: tf.Tensor, matrices: tf.Tensor, transposed: boolean): tf.Tensor {
  return tf.squeeze(tf.matMul(tf.expandDims(rows, 1), matrices, false, transposed), [1])
}

/** WebGPU's kernel for many at once takes seven at most. */
function concat(parts: tf.Tensor[]): tf.Tensor {
  return parts.reduce((all, part) => tf.concat([all, part], 0))
}

function requireNumbers(name: string, values: readonly number[], count: number): void {
  if (values.length !== count) throw new RangeError(`${name}: expected ${count} numbers, got ${values.length}`)
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new RangeError(`${name}[${bad}]: expected a finite number, got ${values[bad]}`)
}

function requirePositive(name: string, value: number): void {
  if (!(value > 0 && value < Infinity)) throw new RangeError(`${name}: expected a number > 0, got ${value}`)
}

function normalised(weights: readonly number[], count: number): number[] {
  requireNumbers('weights', weights, count)
  weights.forEach((weight, i) => requirePositive(`weights[${i}]`, weight))
  const total = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / total)
}

/** Variances along each component's axes, and the axes `[K, d, d]` where they are not those of x. */
function spectraOf(
  given: GaussianMixtureOptions['covariances'],
  k: number,
  d: number,
): { variances: number[]; axes?: Float32Array } {
  if (typeof given === 'number') {
    requirePositive('covariances', given)
    return { variances: Array.from({ length: k }, () => given) }
  }
  if (given.length !== k) throw new RangeError(`covariances: expected ${k} of them, got ${given.length}`)
  const first = given[0]!
  if (typeof first === 'number') {
    const each = given as readonly number[]
    each.forEach((variance, i) => requirePositive(`covariances[${i}]`, variance))
    return { variances: [...each] }
  }
  if (typeof first[0] === 'number') {
    const each = given as readonly (readonly number[])[]
    each.forEach((row, i) => {
      requireNumbers(`covariances[${i}]`, row, d)
      row.forEach((variance, j) => requirePositive(`covariances[${i}][${j}]`, variance))
    })
    return { variances: each.flat() }
  }
  const axes = new Float32Array(k * d * d)
  const variances = (given as readonly (readonly (readonly number[])[])[]).flatMap((matrix, i) => {
    const name = `covariances[${i}]`
    if (matrix.length !== d) throw new RangeError(`${name}: expected ${d} rows, got ${matrix.length}`)
    matrix.forEach((row, j) => requireNumbers(`${name}[${j}]`, row, d))
    const { values, vectors } = symmetricEigen(name, matrix.flat())
    const bad = values.find((value) => !(value > 0))
    if (bad !== undefined) throw new RangeError(`${name}: expected a positive definite matrix, got eigenvalue ${bad}`)
    axes.set(vectors, i * d * d)
    return Array.from(values)
  })
  return { variances, axes }
}

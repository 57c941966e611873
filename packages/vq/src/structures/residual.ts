import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  type Key,
  requireFinite,
  requireInteger,
  requireLastDimension,
  requireShape,
  stopGradient,
} from '@x/core-gpu'
import { type PlainEstimator, straightThrough } from '../estimators/estimator.ts'
import { hideMasked, requireIndices } from '../indices.ts'
import type { Pass, Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'
import type { CodeSearch } from './beam.ts'
import { joinIndices, sizesOf, splitIndices, stackCodebooks } from './indices.ts'

export interface ResidualOptions {
  /**
   * How the gradient passes the layers. An estimator takes it from the vector to the sum of its codes, once: with
   * `straightThrough`, the default, the gradient is that of the sum, whatever the number of layers. `'layers'` leaves it to
   * each layer's own estimator; see `gradientFraction` for what the vector then gets. It is needed where codes learn
   * through the value and not by a loss or by counting.
   */
  readonly estimate?: PlainEstimator | 'layers' | undefined
  /**
   * With `'layers'`: the share f of each code's gradient that the residual after it carries. Of straight-through layers the
   * vector gets the sum of (1 - f)^l times the gradient: all of it Q times at f = 0, the default and the form in common use,
   * and once at f = 1, where layers after the first have no say in it.
   */
  readonly gradientFraction?: number
  /** uses in each training step only the first layers, their number drawn (training then needs keys); default: all */
  readonly dropout?: LayerDropout | undefined
  /** chooses the codes of all layers together, such as `beamSearch(8)`; default: each layer takes its own */
  readonly search?: CodeSearch | undefined
  /** brings vectors into the layers' range first, `[..., d]` to the same shape */
  readonly prepare?: (z: tf.Tensor) => tf.Tensor
}

export interface LayerDropout {
  /** the last layer that is always used, counted from 0; default 0 */
  readonly cutoff?: number
  /** the number of layers used is rounded up to a multiple of this; default 1 */
  readonly multipleOf?: number
}

/**
 * Each layer quantizes what the layers before left over, and the codes are added.
 * arXiv 2107.03312, algorithm 1
 *
 *     r_0 = z,   q_l = Q_l(r_l),   r_{l+1} = r_l - q_l,   q = sum of q_l
 *
 * Indices are `[..., c]`, layer after layer; a layer that was left out has -1. The same layer may stand in several places:
 * it then learns once a step, after all have chosen by the codes as they were. Terms are called `layers.<l>.<name>`.
 */
export class ResidualQuantizer extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  /** each once, however often it is used */
  readonly layers: readonly Quantizer[]
  readonly #passes: readonly Quantizer[]
  readonly #options: ResidualOptions

  /** @throws RangeError or TypeError when layers and options do not fit together */
  constructor(layers: readonly Quantizer[], options: ResidualOptions = {}) {
    super()
    const [first] = layers
    if (!first) throw new RangeError('layers: expected at least one')
    const narrow = layers.find(({ dim }) => dim !== first.dim)
    if (narrow) throw new RangeError(`layers: expected all of dimension ${first.dim}, got one of ${narrow.dim}`)
    requireOptions(layers, options)
    this.dim = first.dim
    const { codebookSize, codebooks } = sizesOf(layers)
    this.codebookSize = codebookSize
    this.codebooks = codebooks
    this.layers = [...new Set(layers)]
    this.#passes = layers
    this.#options = options
  }

  /** The layers in their order, each as often as it is used. */
  get passes(): readonly Quantizer[] {
    return this.#passes
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    requireFinite('z', z)
    const { training = false, key, mask, freeze = false } = options
    const lead = z.shape.slice(0, -1)
    if (mask) requireShape('mask', mask, lead)
    return tf.tidy(() => {
      const { estimate = straightThrough, gradientFraction = 0, prepare, search } = this.#options
      const start = prepare?.(z) ?? z
      const passes = this.#passes.slice(0, training ? this.#drawDepth(key) : undefined)
      const found = search?.(stopGradient(start), passes, training)
      const later = new Map<Quantizer, Pass[]>()
      const terms: Record<string, tf.Scalar> = {}
      const chosen: tf.Tensor[] = []
      let residual = start
      let total: tf.Tensor | undefined
      passes.forEach((layer, l) => {
        const shared = this.#passes.indexOf(layer) !== this.#passes.lastIndexOf(layer)
        const out = layer.quantize(residual, {
          training,
          freeze: freeze || shared,
          ...(key && { key: key.fold(l) }),
          ...(mask && { mask }),
          ...(found && { indices: found[l]! }),
        })
        if (shared && training && !freeze)
          later.set(layer, [...(later.get(layer) ?? []), { z: stopGradient(residual), indices: out.indices }])
        for (const [name, term] of Object.entries(out.terms)) terms[`layers.${l}.${name}`] = term
        chosen.push(out.indices)
        const value = estimate === 'layers' ? out.quantized : stopGradient(out.quantized)
        residual = tf.sub(residual, scaleGradient(value, gradientFraction))
        total = total ? tf.add(total, value) : value
      })
      for (const [layer, seen] of later) layer.learn?.(seen, key?.fold(passes.length))
      const left = this.#passes.slice(passes.length).map((layer) => tf.fill([...lead, layer.codebooks], -1, 'int32'))
      const value = estimate === 'layers' ? total! : passed(estimate, start, total!)
      const indices = joinIndices([...chosen, ...left], lead)
      const loss = Object.values(terms).reduce<tf.Scalar>((sum, term) => tf.add(sum, term), tf.scalar(0))
      return { ...hideMasked(value, indices, mask), loss, terms }
    })
  }

  /** Takes fewer indices too, those of the first layers: the sum is then a coarser one. */
  decode(indices: tf.Tensor): tf.Tensor {
    requireIndices('indices', indices, this.codebookSize)
    return tf.tidy(() => {
      const layers = this.#firstLayers(indices)
      return splitIndices(indices, layers, this.codebooks === 1)
        .map((part, l) => layers[l]!.decode(part))
        .reduce((sum, code) => tf.add(sum, code))
    })
  }

  codebook(): tf.Tensor {
    return this.layers.length === 1 ? this.layers[0]!.codebook() : stackCodebooks(this.#passes)
  }

  #firstLayers(indices: tf.Tensor): readonly Quantizer[] {
    if (this.codebooks === 1) return this.#passes
    const given = indices.shape.at(-1) ?? 0
    let codebooks = 0
    const count = this.#passes.findIndex((layer) => (codebooks += layer.codebooks) === given) + 1
    if (count === 0)
      throw new RangeError(`indices: expected [..., ${this.codebooks}] or whole layers, got [${indices.shape}]`)
    return this.#passes.slice(0, count)
  }

  #drawDepth(key: Key | undefined): number {
    const { dropout } = this.#options
    const layers = this.#passes.length
    if (!dropout || layers === 1) return layers
    if (!key) throw new TypeError('key: the number of layers is drawn in training, expected a key, got undefined')
    const { cutoff = 0, multipleOf = 1 } = dropout
    const [word] = key.fold(layers + 1).bits(1)
    const last = cutoff + Math.floor(word! * 2 ** -32 * (layers - cutoff))
    return Math.min(Math.ceil((last + 1) / multipleOf) * multipleOf, layers)
  }
}

function requireOptions(layers: readonly Quantizer[], options: ResidualOptions): void {
  const { gradientFraction = 0, dropout } = options
  if (!(gradientFraction >= 0 && gradientFraction <= (options.estimate === 'layers' ? 1 : 0)))
    throw new RangeError(`gradientFraction: expected 0, or up to 1 with estimate 'layers', got ${gradientFraction}`)
  const { cutoff = 0, multipleOf = 1 } = dropout ?? {}
  requireInteger('dropout.cutoff', cutoff, 0)
  if (cutoff >= layers.length)
    throw new RangeError(`dropout.cutoff: expected less than the ${layers.length} layers, got ${cutoff}`)
  requireInteger('dropout.multipleOf', multipleOf, 1)
}

/** The same value; the gradient times f. */
function scaleGradient(x: tf.Tensor, f: number): tf.Tensor {
  if (f === 0) return stopGradient(x)
  if (f === 1) return x
  const apply = tf.customGrad((input) => ({
    value: tf.clone(input as tf.Tensor),
    gradFunc: (g: tf.Tensor) => tf.mul(g, f),
  }))
  return apply(x)
}

function passed(estimate: PlainEstimator, z: tf.Tensor, q: tf.Tensor): tf.Tensor {
  const d = z.shape.at(-1)!
  const [rows, codes] = [tf.reshape<tf.Rank.R2>(z, [-1, d]), tf.reshape<tf.Rank.R2>(q, [-1, d])]
  return tf.reshape(estimate(rows, codes), z.shape)
}

import * as tf from '@tensorflow/tfjs-core'
import { key, type Method } from '@x/core-gpu'
import { ModuleLayer } from '@x/core-gpu/layers'
import type { Attention } from '../attention.ts'
import { methods } from '../methods.ts'
import { alibi } from '../positions/alibi/alibi.ts'
import { none } from '../positions/none/none.ts'
import type { PositionEncoding } from '../positions/position.ts'
import { rope, type RopeOptions } from '../positions/rope/rope.ts'
import { voRope } from '../positions/vo-rope/vo-rope.ts'
import { crossAttention, type CrossAttention, type CrossAttentionOptions } from '../projections/cross/cross.ts'

/** Where the layer draws from, and how it is called. */
export interface AttentionLayerOptions {
  /** of everything that the attention draws; default 0 */
  readonly seed?: number
  /** the layer's name in its model */
  readonly name?: string
}

type EncodingName = 'none' | 'alibi' | 'rope' | 'vo-rope'

const encodings: Readonly<Record<EncodingName, (options: RopeOptions) => PositionEncoding>> = {
  none: () => none(),
  alibi: () => alibi(),
  rope,
  'vo-rope': voRope,
}

/** A position encoding as plain data: its name, or its name and options. */
export type PlainPositions =
  EncodingName | ({ readonly encoding: 'rope' | 'vo-rope' } & Pick<RopeOptions, 'theta' | 'layout' | 'dims' | 'at'>)

/** Options of a method that the layer does not know by itself: plain data, so that a model can be saved. */
type PlainOptions<Options> = Partial<Omit<Options, 'dim' | 'key' | 'positions'>> & {
  readonly positions?: PlainPositions
}

interface LayerConfig {
  readonly method: string
  readonly options: Readonly<Record<string, unknown>>
  readonly seed: number
  readonly name?: string
}

/**
 * An attention as a layer of a `tf.layers` model, from [B, L, D] to the same shape.
 *
 * `dim` is taken from the input. A model that has it loads where `@x/attention/layers` is imported.
 * @param method one of this package's methods for one sequence, such as `mla`
 * @param options the method's options, as plain data
 * @throws TypeError for options that cannot be saved with the model
 */
export function attentionLayer<Options extends object>(
  method: Method<Options, Attention>,
  options: PlainOptions<Options>,
  { seed = 0, name }: AttentionLayerOptions = {},
): AttentionLayer {
  return new AttentionLayer({ method: method.id, options: { ...options }, seed, ...(name !== undefined && { name }) })
}

/** What `attentionLayer` makes. */
export class AttentionLayer extends ModuleLayer<Attention> {
  /** the name in saved models */
  static readonly className = 'AttentionLayer'
  readonly #config: LayerConfig
  readonly #method: Method<object, Attention>
  #calls = 0

  constructor(config: LayerConfig) {
    super({ ...(config.name !== undefined && { name: config.name }) })
    requirePlain(config.options)
    this.#method = methodOf(config.method)
    this.#config = config
  }

  /** The attention. @throws Error before the layer is part of a model */
  get attention(): Attention {
    return this.module
  }

  protected override make(inputShape: readonly (number | null)[]): Attention {
    const { options, seed } = this.#config
    return this.#method({ ...withPositions(options), dim: inputShape.at(-1), key: key(seed) })
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean } = {}): tf.Tensor {
    const training = kwargs.training === true
    const x = (Array.isArray(inputs) ? inputs[0]! : inputs) as tf.Tensor3D
    const drawing = training ? { key: key(this.#config.seed).fold(this.#calls++) } : {}
    return this.attention.forward(x, { training, ...drawing })
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.#config } as tf.serialization.ConfigDict
  }
}
tf.serialization.registerClass(AttentionLayer)

type CrossConfig = Omit<LayerConfig, 'method'>

/**
 * Cross-attention as a layer of two inputs, tokens [B, L, D] and what they attend to [B, S, C], to [B, L, D].
 *
 * `dim` and `contextDim` are taken from the inputs.
 * @param options those of `crossAttention`, as plain data
 * @throws TypeError for options that cannot be saved with the model
 */
export function crossAttentionLayer(
  options: Omit<CrossAttentionOptions, 'dim' | 'contextDim' | 'key'>,
  { seed = 0, name }: AttentionLayerOptions = {},
): CrossAttentionLayer {
  return new CrossAttentionLayer({ options: { ...options }, seed, ...(name !== undefined && { name }) })
}

/** What `crossAttentionLayer` makes. */
export class CrossAttentionLayer extends ModuleLayer<CrossAttention> {
  /** the name in saved models */
  static readonly className = 'CrossAttentionLayer'
  readonly #config: CrossConfig
  #contextDim: number | undefined
  #calls = 0

  constructor(config: CrossConfig) {
    super({ ...(config.name !== undefined && { name: config.name }) })
    requirePlain(config.options)
    this.#config = config
  }

  /** @throws RangeError unless there are two inputs */
  override build(inputShapes: (number | null)[] | (number | null)[][]): void {
    if (!Array.isArray(inputShapes[0]) || inputShapes.length !== 2)
      throw new RangeError(`${this.name}: expected two inputs, tokens and what they attend to`)
    const [own, context] = inputShapes as [(number | null)[], (number | null)[]]
    this.#contextDim = context.at(-1) ?? undefined
    super.build(own)
  }

  protected override make(inputShape: readonly (number | null)[]): CrossAttention {
    const { options, seed } = this.#config
    const sizes = { dim: inputShape.at(-1)!, contextDim: this.#contextDim!, key: key(seed) }
    return crossAttention({ ...(options as unknown as CrossAttentionOptions), ...sizes })
  }

  override computeOutputShape(inputShapes: (number | null)[][]): (number | null)[] {
    return inputShapes[0]!
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean } = {}): tf.Tensor {
    const training = kwargs.training === true
    const [x, context] = inputs as [tf.Tensor3D, tf.Tensor3D]
    const drawing = training ? { key: key(this.#config.seed).fold(this.#calls++) } : {}
    return this.module.forward(x, context, { training, ...drawing })
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.#config } as tf.serialization.ConfigDict
  }
}
tf.serialization.registerClass(CrossAttentionLayer)

function methodOf(id: string): Method<object, Attention> {
  const known = methods.filter((method) => method.id !== crossAttention.id)
  const found = known.find((method) => method.id === id)
  if (!found) throw new RangeError(`method: expected one of ${known.map((m) => m.id).join(', ')}, got "${id}"`)
  return found as unknown as Method<object, Attention>
}

/** @throws TypeError when an option is not the same after it was written as JSON and read again */
function requirePlain(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    const written = JSON.stringify(value) as string | undefined
    const isPlain = (each: unknown): boolean =>
      typeof each !== 'function' && (typeof each !== 'object' || each === null || Object.values(each).every(isPlain))
    if (written === undefined || !isPlain(value))
      throw new TypeError(`${name}: expected plain data, which a model can be saved with`)
  }
}

function withPositions(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { positions, ...others } = options
  if (positions === undefined) return others
  return { ...others, positions: encodingOf(positions as PlainPositions) }
}

function encodingOf(positions: PlainPositions): PositionEncoding {
  const { encoding, ...options } = typeof positions === 'string' ? { encoding: positions } : positions
  if (!Object.hasOwn(encodings, encoding))
    throw new RangeError(`positions: expected one of ${Object.keys(encodings).join(', ')}, got "${encoding}"`)
  return encodings[encoding](options)
}

import * as tf from '@tensorflow/tfjs-core'
import { key, type Method } from '@x/core-gpu'
import { ModuleLayer } from '@x/core-gpu/layers'
import { methods } from '../methods/methods.ts'
import type { Quantizer } from '../quantizer.ts'

/** Where the layer draws from, and how it is called. */
export interface QuantizerLayerOptions {
  /** of everything that the quantizer draws; default 0 */
  readonly seed?: number
  /** the layer's name in its model */
  readonly name?: string
}

/** Options of a method that the layer does not know by itself: plain data, so that a model can be saved. */
type PlainOptions<Options> = Partial<Omit<Options, 'dim' | 'key'>>

/**
 * A quantizer as a layer of a `tf.layers` model: replaces each vector of its input [..., d] by a code, and adds its loss to
 * the model's while that is trained.
 *
 * `dim` is taken from the input. A model that has it loads where `@x/vq/layers` is imported.
 * @param method one of this package's methods, such as `simvq`
 * @param options the method's options, as plain data
 * @throws TypeError for options that cannot be saved with the model
 */
export function quantizerLayer<Options extends object>(
  method: Method<Options, Quantizer>,
  options: PlainOptions<Options>,
  { seed = 0, name }: QuantizerLayerOptions = {},
): QuantizerLayer {
  return new QuantizerLayer({ method: method.id, options: { ...options }, seed, ...(name !== undefined && { name }) })
}

interface QuantizerLayerConfig {
  readonly method: string
  readonly options: Readonly<Record<string, unknown>>
  readonly seed: number
  readonly name?: string
}

/** What `quantizerLayer` makes. */
export class QuantizerLayer extends ModuleLayer<Quantizer> {
  /** the name in saved models */
  static readonly className = 'QuantizerLayer'
  readonly #config: QuantizerLayerConfig
  readonly #method: Method<object, Quantizer>
  #calls = 0

  constructor(config: QuantizerLayerConfig) {
    super({ ...(config.name !== undefined && { name: config.name }) })
    for (const [name, value] of Object.entries(config.options)) requirePlain(name, value)
    this.#method = methodOf(config.method)
    this.#config = config
  }

  /** The quantizer. @throws Error before the layer is part of a model */
  get quantizer(): Quantizer {
    return this.module
  }

  protected override make(inputShape: readonly (number | null)[]): Quantizer {
    const { options, seed } = this.#config
    const known = { dim: inputShape.at(-1), key: key(seed) }
    const wanted = Object.entries(known).filter(([name]) => name in this.#method.options.entries)
    return this.#method({ ...options, ...Object.fromEntries(wanted) })
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return inputShape
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean } = {}): tf.Tensor {
    const training = kwargs.training === true
    const z = Array.isArray(inputs) ? inputs[0]! : inputs
    const drawing = training ? { key: key(this.#config.seed).fold(this.#calls++) } : {}
    const { quantized, indices, loss, terms } = this.quantizer.quantize(z, { training, ...drawing })
    tf.dispose([indices, terms])
    if (training) this.addToObjective(loss)
    else loss.dispose()
    return quantized
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.#config } as tf.serialization.ConfigDict
  }
}
tf.serialization.registerClass(QuantizerLayer)

function methodOf(id: string): Method<object, Quantizer> {
  const found = methods.find((method) => method.id === id)
  if (!found) throw new RangeError(`method: expected one of ${methods.map((m) => m.id).join(', ')}, got "${id}"`)
  return found as Method<object, Quantizer>
}

function requirePlain(name: string, value: unknown): void {
  const plain =
    value === undefined || JSON.stringify(JSON.parse(JSON.stringify(value) ?? 'null')) === JSON.stringify(value)
  if (typeof value === 'function' || !plain) throw new TypeError(`${name}: expected plain data, which a model can save`)
}

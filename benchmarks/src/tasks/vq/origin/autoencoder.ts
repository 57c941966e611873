import * as tf from '@tensorflow/tfjs-core'
import { Activation, BaseModule, type Key, Linear, relu, Sequential } from '@x/core-gpu'
import { cosineVq, type Quantizer, rotation, simvq, uniformCodes, vq } from '@x/vq'
import type { RunSpec } from '../../../result.ts'

export const observed = 16
const hidden = 32
export const dim = 4
export const codebookSize = 256

/** Makes a method's quantizer with its first codes around `mean` in every dimension. */
const makers: Record<string, (params: RunSpec['params'], key: Key) => Quantizer> = {
  vq: (params, key) => vq(around(params, key)),
  rotation: (params, key) => rotation({ ...around(params, key), scaled: params.scaled === true }),
  'cosine-vq': (params, key) => cosineVq(around(params, key)),
  simvq: ({ mean }, key) => {
    const [codesKey, mapKey] = key.split(2) as [Key, Key]
    const transform = new Linear(dim, dim, { key: mapKey, biasInit: (shape) => tf.fill(shape, Number(mean)) })
    return simvq({ dim, codebookSize, transform, key: codesKey })
  },
}

function around({ mean, start }: RunSpec['params'], key: Key): Parameters<typeof vq>[0] {
  return {
    dim,
    codebookSize,
    init: (shape, key) => tf.tidy(() => tf.add(uniformCodes(shape, key), Number(mean))),
    ...(start === 'k-means' && { kMeans: {} }),
    key,
  }
}

/** @throws RangeError for an unknown method */
export function makeQuantizer({ method, params }: Pick<RunSpec, 'method' | 'params'>, key: Key): Quantizer {
  const make = makers[method]
  if (make === undefined) throw new RangeError(`method: unknown "${method}"; known: ${Object.keys(makers).join(', ')}`)
  return make(params, key)
}

/** 16-32-4, the quantizer, 4-32-16; all that lies between encoder and decoder is moved by `mean`. */
export class MovedAutoencoder extends BaseModule {
  readonly encoder: Sequential
  readonly quantizer: Quantizer
  readonly decoder: Sequential
  readonly mean: number

  constructor(quantizer: Quantizer, mean: number, key: Key) {
    super()
    const keys = key.split(4)
    const linear = (inputs: number, outputs: number, index: number): Linear =>
      new Linear(inputs, outputs, { key: keys[index]! })
    this.quantizer = quantizer
    this.mean = mean
    this.encoder = new Sequential(linear(observed, hidden, 0), new Activation(relu), linear(hidden, dim, 1))
    this.decoder = new Sequential(linear(dim, hidden, 2), new Activation(relu), linear(hidden, observed, 3))
  }

  /** @param x [B, 16] */
  encode(x: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => tf.add(this.encoder.forward(x), this.mean) as tf.Tensor2D)
  }

  /** @param q codes [B, 4] @returns [B, 16], 0 to 1 */
  decode(q: tf.Tensor): tf.Tensor2D {
    return tf.tidy(() => tf.sigmoid(this.decoder.forward(tf.sub(q, this.mean))) as tf.Tensor2D)
  }

  /**
   * How long the gradient of the reconstruction is in front of the quantizer, by its length behind it.
   * @param x [B, 16]
   */
  async passedGradient(x: tf.Tensor2D): Promise<number> {
    const ratio = tf.tidy(() => {
      const z = this.encode(x)
      const error = (q: tf.Tensor): tf.Scalar => tf.mean(tf.squaredDifference(this.decode(q), x))
      const { quantized } = this.quantizer.quantize(z)
      const behind = tf.grad(error)(quantized)
      const before = tf.grad((z) => error(this.quantizer.quantize(z).quantized))(z)
      return tf.div(tf.norm(before), tf.norm(behind)) as tf.Scalar
    })
    const [value] = await ratio.data()
    ratio.dispose()
    return value!
  }
}

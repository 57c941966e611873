import * as tf from '@tensorflow/tfjs-core'
import { Activation, BaseModule, type Key, Linear, relu, Sequential } from '@x/core-gpu'
import { type Quantization, type Quantizer, residualFsq, residualLfq, residualSimvq, residualVq } from '@x/vq'
import type { RunSpec } from '../../../result.ts'
import { frameLength } from './signals.ts'

const hidden = 128
const dim = 8
/** Bits of one layer. */
export const layerBits = 8

const codebookSize = 2 ** layerBits
const makers: Record<string, (layers: number, params: RunSpec['params'], key: Key) => Quantizer> = {
  'residual-vq': (layers, _, key) =>
    residualVq({ dim, codebookSize, layers, kMeans: {}, deadCodes: { threshold: 0.1 }, key }),
  'residual-simvq': (layers, _, key) => residualSimvq({ dim, codebookSize, layers, key }),
  'residual-fsq': (layers, { levels }) => residualFsq({ levels: levels as number[], layers }),
  'residual-lfq': (layers) => residualLfq({ bits: layerBits, layers }),
}

/** @throws RangeError for an unknown method, or bits that do not make whole layers */
export function makeQuantizer({ method, params }: Pick<RunSpec, 'method' | 'params'>, key: Key): Quantizer {
  const make = makers[method]
  if (make === undefined) throw new RangeError(`method: unknown "${method}"; known: ${Object.keys(makers).join(', ')}`)
  const layers = Number(params.bits) / layerBits
  if (!Number.isInteger(layers) || layers < 1)
    throw new RangeError(`bits: expected a multiple of ${layerBits}, got ${String(params.bits)}`)
  return make(layers, params, key)
}

/** 64-128-d, the quantizer, d-128-64. */
export class FrameCodec extends BaseModule {
  readonly encoder: Sequential
  readonly quantizer: Quantizer
  readonly decoder: Sequential

  constructor(quantizer: Quantizer, key: Key) {
    super()
    const keys = key.split(4)
    const linear = (inputs: number, outputs: number, index: number): Linear =>
      new Linear(inputs, outputs, { key: keys[index]! })
    this.quantizer = quantizer
    this.encoder = new Sequential(
      linear(frameLength, hidden, 0),
      new Activation(relu),
      linear(hidden, quantizer.dim, 1),
    )
    this.decoder = new Sequential(
      linear(quantizer.dim, hidden, 2),
      new Activation(relu),
      linear(hidden, frameLength, 3),
    )
  }

  /** @param x frames [B, 64] */
  forward(
    x: tf.Tensor2D,
    options: { training: boolean; key?: Key },
  ): { z: tf.Tensor; frames: tf.Tensor; quantization: Quantization } {
    const z = this.encoder.forward(x) // [B, d]
    const quantization = this.quantizer.quantize(z, options)
    return { z, frames: this.decoder.forward(quantization.quantized), quantization }
  }
}

import * as tf from '@tensorflow/tfjs-core'
import { Activation, BaseModule, elu, initialisers, type Key, type Layer, Sequential, tanh } from '@x/core-gpu'
import type { CheckedConfig } from './config.ts'
import { SignalConv, SignalConvTranspose } from './convolution.ts'
import type { SignalContext } from './history.ts'
import { Snake } from './snake.ts'

/**
 * Residual units and a strided convolution for each stride, after arXiv 2107.03312.
 * @returns takes [B, 1, T, channels], T a multiple of the strides' product, to [B, 1, T / product, dim]
 */
export function signalEncoder(config: CheckedConfig, dim: number, key: Key): Sequential {
  const { channels, width, strides, kernelSize, padding } = config
  const keys = key.split(strides.length + 2)
  const layers: Layer[] = [new SignalConv(channels, width, { key: keys[0]!, kernelSize, padding })]
  let features = width
  strides.forEach((stride, s) => {
    const [unitsKey, strideKey] = keys[s + 1]!.split(2) as [Key, Key]
    layers.push(
      ...residualUnits(config, features, unitsKey),
      activationOf(config, features),
      new SignalConv(features, 2 * features, { key: strideKey, kernelSize: 2 * stride, stride, padding }),
    )
    features *= 2
  })
  layers.push(activationOf(config, features), new SignalConv(features, dim, { key: keys.at(-1)!, kernelSize, padding }))
  return new Sequential(...layers)
}

/**
 * The encoder's stages in reverse, each a transposed convolution and residual units.
 * @returns takes [B, 1, F, dim] to [B, 1, F product, channels]
 */
export function signalDecoder(config: CheckedConfig, dim: number, key: Key): Sequential {
  const { channels, width, strides, kernelSize, padding, output } = config
  const keys = key.split(strides.length + 2)
  let features = width * 2 ** strides.length
  const layers: Layer[] = [new SignalConv(dim, features, { key: keys[0]!, kernelSize, padding })]
  strides.toReversed().forEach((stride, s) => {
    const [unitsKey, strideKey] = keys[s + 1]!.split(2) as [Key, Key]
    layers.push(
      activationOf(config, features),
      new SignalConvTranspose(features, features / 2, { key: strideKey, stride, padding }),
      ...residualUnits(config, features / 2, unitsKey),
    )
    features /= 2
  })
  layers.push(
    activationOf(config, features),
    new SignalConv(features, channels, { key: keys.at(-1)!, kernelSize, padding }),
  )
  if (output === 'tanh') layers.push(new Activation(tanh))
  return new Sequential(...layers)
}

/** Adds to its input what a dilated convolution and one of a single tap make of it. */
class ResidualUnit extends BaseModule implements Layer {
  readonly body: Sequential

  constructor(config: CheckedConfig, features: number, dilation: number, key: Key) {
    super()
    const { padding, unitKernelSize, compress } = config
    const [wide, narrow] = key.split(2) as [Key, Key]
    const inner = features / compress
    // Less than what it is added to, so that many units do not make the signal loud.
    const init = initialisers.fanInUniform()
    this.body = new Sequential(
      activationOf(config, features),
      new SignalConv(features, inner, { key: wide, kernelSize: unitKernelSize, dilation, padding, init }),
      activationOf(config, inner),
      new SignalConv(inner, features, { key: narrow, kernelSize: 1, padding, init }),
    )
  }

  /** @param x [B, 1, T, C] */
  forward(x: tf.Tensor, context?: SignalContext): tf.Tensor {
    return tf.tidy(() => tf.add(x, this.body.forward(x, context)))
  }
}

function residualUnits(config: CheckedConfig, features: number, key: Key): Layer[] {
  return config.dilations.map((dilation, i) => new ResidualUnit(config, features, dilation, key.fold(i)))
}

function activationOf({ activation }: CheckedConfig, features: number): Layer {
  return activation === 'snake' ? new Snake(features) : new Activation(elu)
}

import * as tf from '@tensorflow/tfjs-core'
import { key, type Key, valueAndGradients } from '@x/core-gpu'
import { conformance, type ConformanceCheck } from '@x/core-gpu/testing'
import { fsq } from '../../methods/fsq/fsq.ts'
import { tinyConfig, waves } from '../example-images.ts'
import { FeatureNetwork } from '../perceptual/feature-network.ts'
import { vqGanLoss, type VqGanLossOptions } from './train-vq-gan.ts'
import { type VqGan, vqGan, type VqGanOptions } from './vq-gan.ts'

/** Small, with everything in it. */
export function ganOptions(k: Key): VqGanOptions {
  const quantizer = fsq({ levels: [5, 4, 3] })
  return { ...tinyConfig, quantizer, discriminator: { width: 4, layers: 1 }, key: k }
}

/** The losses with distances of the features of `network`. */
export function lossOptions(network: FeatureNetwork): VqGanLossOptions {
  return { perceptual: { features: (x) => network.features(x), weight: 0.5 } }
}

/** A small network to measure distances by. */
export function smallFeatures(): FeatureNetwork {
  return new FeatureNetwork({ channels: 2, width: 8, stages: 2, key: key(40) })
}

/** The losses, metrics and gradients of one step on images drawn from `k`. */
export function stepOf(model: VqGan, k: Key, step = 0): Record<string, tf.Tensor> {
  const network = smallFeatures()
  const images = waves(k, 2)
  const { loss, metrics, gradients } = valueAndGradients(model.parameters(), () => {
    const out = vqGanLoss(model, images, { step, key: k }, lossOptions(network))
    return { loss: out.loss, metrics: out.metrics ?? {} }
  })
  images.dispose()
  network.dispose()
  return { loss, ...metrics, ...gradients }
}

/** What every model must do, with a training step as its call. */
export function vqGanConformance(): ConformanceCheck[] {
  return conformance(vqGan, {
    options: ganOptions,
    badOptions: {
      size: [
        [6, 8, 8],
        [7, 8],
      ],
      groups: [3],
      quantizer: [undefined],
      pixels: ['l0'],
      discriminator: [{ layers: 3 }, { layers: 0 }, { width: 0 }, { norm: 'layer' }, { depth: 2 }],
      key: [1],
    },
    call: stepOf,
  })
}

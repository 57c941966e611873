import * as tf from '@tensorflow/tfjs-core'
import {
  describeValue,
  type LossAndMetrics,
  type Optimizer,
  requireInteger,
  type StepContext,
  stopGradient,
  train,
  type TrainOptions,
  type TrainResult,
} from '@x/core-gpu'
import { type FeatureFunction, perceptualDistance } from '../perceptual/perceptual-distance.ts'
import { adaptiveWeight } from './adaptive-weight.ts'
import { type AdversarialLoss, hinge } from './adversarial.ts'
import { PartOptimizer } from './part-optimizer.ts'
import type { VqGan } from './vq-gan.ts'

/** How the losses of a VQ-GAN are weighed. */
export interface VqGanLossOptions {
  /** distances of features beside those of pixels; default: none */
  readonly perceptual?: {
    /** of a trained network: `(x) => network.features(x)` of a `FeatureNetwork`, or any other */
    readonly features: FeatureFunction
    /** default 1 */
    readonly weight?: number
  }
  readonly adversarial?: {
    /** default `hinge` */
    readonly loss?: AdversarialLoss
    /** first step of the adversarial loss; the discriminator rests until then; default 0 */
    readonly start?: number
    /** default 0.8 */
    readonly weight?: number
    /** whether the weight is multiplied by the ratio of gradient norms at the last layer; default true */
    readonly adaptive?: boolean
    /** greatest ratio; default 1e4 */
    readonly maxRatio?: number
  }
}

export interface TrainVqGanOptions
  extends Omit<TrainOptions<tf.Tensor4D>, 'loss' | 'optimizer' | 'clip'>, VqGanLossOptions {
  /** one for each side; the authors' are Adam with betas 0.5 and 0.9 */
  readonly optimizers: { readonly autoencoder: Optimizer; readonly discriminator: Optimizer }
  /** greatest norm of either side's gradients; default: none */
  readonly clip?: number
}

/**
 * Trains a VQ-GAN: autoencoder and discriminator in turn, on the same reconstructions. arXiv 2012.09841
 *
 * Options are those of `train`, with checkpoints that hold both optimizers; `data` gives images [B, H, W, channels]. The
 * autoencoder's losses are taken back through the decoder once, together; the discriminator learns from reconstructions
 * of the autoencoder as it was before the step. Metrics: `pixels`, `perceptual`, `generator`, `discriminator`, `ratio`
 * and the quantizer's terms.
 * @throws NonFiniteError when a loss or a gradient is NaN or infinite; that step is not taken
 * @throws TypeError or RangeError when an option is out of range, or the checkpoint belongs to something else
 */
export async function trainVqGan(model: VqGan, options: TrainVqGanOptions): Promise<TrainResult> {
  const { optimizers, clip } = options
  requireWeights(options)
  if (clip !== undefined && !(clip > 0)) throw new RangeError(`clip: expected a number > 0, got ${clip}`)
  return train(model, {
    ...options,
    // Each side's own, by the optimizer.
    clip: undefined,
    // The two sides share no parameter, so updating them together is the same as in turn.
    optimizer: new PartOptimizer({ ...optimizers }, clip),
    loss: (images, context) => vqGanLoss(model, images, context, options),
  })
}

/**
 * The losses of one step as one: towards the autoencoder it has the gradient of the autoencoder's losses, towards the
 * discriminator that of its own.
 * @param images [B, H, W, channels]
 * @throws RangeError when the images' shape differs
 */
export function vqGanLoss(
  model: VqGan,
  images: tf.Tensor4D,
  { step, key }: StepContext,
  options: VqGanLossOptions = {},
): LossAndMetrics {
  const { autoencoder, discriminator } = model
  const { perceptual, adversarial = {} } = options
  const { loss: game = hinge, start = 0, weight = 0.8, adaptive = true, maxRatio } = adversarial
  const { features, reconstruction, quantization } = autoencoder.autoencode(images, { training: true, key })
  const fake = stopGradient(reconstruction)
  const metrics: Record<string, tf.Scalar> = { ...quantization.terms }

  // Each loss is differentiated towards the image first; their sum goes on through the decoder.
  const atImage = (f: (image: tf.Tensor4D) => tf.Tensor): { value: tf.Scalar; grad: tf.Tensor4D } =>
    tf.valueAndGrad((image: tf.Tensor) => f(image as tf.Tensor4D))(fake) as { value: tf.Scalar; grad: tf.Tensor4D }
  const pixels = atImage((image) => autoencoder.pixelDistance(image, images))
  metrics['pixels'] = pixels.value
  let { value, grad } = pixels
  if (perceptual) {
    const { features: ofImage, weight: share = 1 } = perceptual
    const distance = atImage((image) => tf.mean(perceptualDistance(ofImage, image, images)))
    metrics['perceptual'] = distance.value
    value = tf.add(value, tf.mul(share, distance.value))
    grad = tf.add(grad, tf.mul(share, distance.grad))
  }
  if (step < start) return { loss: tf.add(known(reconstruction, value, grad), quantization.loss), metrics }

  const fooling = atImage((image) => game.generator(discriminator.forward(image, { training: true })))
  const ratio = adaptive
    ? adaptiveWeight(
        {
          features,
          weight: autoencoder.decoder.output.weight as unknown as tf.Tensor4D,
          reconstruction: grad,
          adversarial: fooling.grad,
        },
        maxRatio === undefined ? {} : { max: maxRatio },
      )
    : tf.scalar(1)
  const share = tf.mul(weight, ratio)
  const autoencoderLoss = known(
    reconstruction,
    tf.add(value, tf.mul(share, fooling.value)),
    tf.add(grad, tf.mul(share, fooling.grad)),
  )
  const discriminatorLoss = game.discriminator(
    discriminator.forward(images, { training: true }),
    discriminator.forward(fake, { training: true }),
  )
  return {
    loss: tf.add(tf.add(autoencoderLoss, quantization.loss), discriminatorLoss),
    metrics: { ...metrics, generator: fooling.value, discriminator: discriminatorLoss, ratio },
  }
}

/** A loss of `x` whose value and gradient are known already. */
function known(x: tf.Tensor, value: tf.Tensor, gradient: tf.Tensor): tf.Scalar {
  return tf.customGrad((...args) => {
    const save = args.at(-1) as unknown as tf.GradSaveFunc
    save([gradient])
    return {
      value: tf.clone(value),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]!),
    }
  })(x) as tf.Scalar
}

function requireWeights({ perceptual, adversarial }: VqGanLossOptions): void {
  if (perceptual && typeof perceptual.features !== 'function')
    throw new TypeError(`perceptual.features: expected a function, got ${describeValue(perceptual.features)}`)
  requireInteger('adversarial.start', adversarial?.start ?? 0, 0)
  const weights = {
    'perceptual.weight': perceptual?.weight ?? 0,
    'adversarial.weight': adversarial?.weight ?? 0,
    'adversarial.maxRatio': adversarial?.maxRatio ?? 0,
  }
  for (const [name, weight] of Object.entries(weights))
    if (!(weight >= 0 && weight < Infinity))
      throw new RangeError(`${name}: expected a finite number >= 0, got ${describeValue(weight)}`)
}

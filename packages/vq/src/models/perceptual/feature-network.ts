import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  Conv2d,
  describeShape,
  GroupNorm,
  type Key,
  key as makeKey,
  Linear,
  logSoftmax,
  requireInteger,
  requireShape,
  silu,
  train,
  type TrainOptions,
  type TrainResult,
} from '@x/core-gpu'

export interface FeatureNetworkOptions {
  /** of the images; default 3 */
  readonly channels?: number
  /** features of the first stage, a multiple of 8; they double from stage to stage; default 32 */
  readonly width?: number
  /** feature maps, each of half the resolution of the one before; default 4 */
  readonly stages?: number
  /** what training tells apart; 4 for rotations; default 4 */
  readonly classes?: number
  /** draws the first weights; default `key(0)` */
  readonly key?: Key
}

/** Groups of every norm. */
const groups = 8

/** Two convolutions, each followed by a norm and SiLU; the first may halve the resolution. */
class Stage extends BaseModule {
  readonly conv1: Conv2d
  readonly norm1: GroupNorm
  readonly conv2: Conv2d
  readonly norm2: GroupNorm

  constructor(inChannels: number, outChannels: number, stride: number, key: Key) {
    super()
    const [first, second] = key.split(2) as [Key, Key]
    this.conv1 = new Conv2d(inChannels, outChannels, { key: first, kernelSize: 3, stride, padding: 1 })
    this.norm1 = new GroupNorm(groups, outChannels)
    this.conv2 = new Conv2d(outChannels, outChannels, { key: second, kernelSize: 3, padding: 1 })
    this.norm2 = new GroupNorm(groups, outChannels)
  }

  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const inner = silu(this.norm1.forward(this.conv1.forward(x)))
      return silu(this.norm2.forward(this.conv2.forward(inner)))
    })
  }
}

/** A small classifier of images whose inner maps serve as features, once it is trained by `trainFeatureNetwork`. */
export class FeatureNetwork extends BaseModule {
  readonly stages: readonly Stage[]
  readonly head: Linear
  readonly channels: number
  readonly classes: number

  /** @throws RangeError when an option is out of range */
  constructor(options: FeatureNetworkOptions = {}) {
    super()
    const { channels = 3, width = 32, stages = 4, classes = 4, key = makeKey(0) } = options
    for (const [name, value] of Object.entries({ channels, width, stages })) requireInteger(name, value, 1)
    requireInteger('classes', classes, 2)
    if (width % groups !== 0) throw new RangeError(`width: expected a multiple of ${groups}, got ${width}`)
    const [headKey, ...keys] = key.split(1 + stages) as [Key, ...Key[]]
    const features = (stage: number): number => (stage < 0 ? channels : width * 2 ** stage)
    this.channels = channels
    this.classes = classes
    this.stages = keys.map((at, i) => new Stage(features(i - 1), features(i), i === 0 ? 1 : 2, at))
    this.head = new Linear(features(stages - 1), classes, { key: headKey })
  }

  /**
   * @param x images, [B, H, W, channels]
   * @returns a map for each stage: [B, H, W, width], [B, H / 2, W / 2, 2 width], ...
   * @throws RangeError when the shape differs
   */
  features(x: tf.Tensor): tf.Tensor[] {
    requireShape('x', x, [null, null, null, this.channels])
    return tf.tidy(() => {
      const maps: tf.Tensor[] = []
      for (const stage of this.stages) maps.push(stage.forward(maps.at(-1) ?? x))
      return maps
    })
  }

  /**
   * @param x images, [B, H, W, channels]
   * @returns logits, [B, classes]
   * @throws RangeError when the shape differs
   */
  forward(x: tf.Tensor): tf.Tensor2D {
    return tf.tidy(() => this.head.forward(tf.mean(this.features(x).at(-1)!, [1, 2])) as tf.Tensor2D)
  }
}

/** Images to learn features from. */
export type FeatureBatch = {
  /** [B, H, W, channels]; square where there are no labels */
  readonly images: tf.Tensor4D
  /** int32 [B]; without them the network learns to tell quarter turns apart */
  readonly labels?: tf.Tensor1D
}

/** Those of `train`, but for the loss. */
export type TrainFeatureNetworkOptions = Omit<TrainOptions<FeatureBatch>, 'loss'>

/**
 * Trains a feature network: on labels where the data has them, else on telling by how many quarter turns an image has been
 * rotated, of which it sees all four (arXiv 1803.07728). Metrics: `accuracy`.
 * @throws RangeError when labels or images do not fit the network
 * @throws NonFiniteError when the loss or a gradient is NaN or infinite
 */
export async function trainFeatureNetwork(
  network: FeatureNetwork,
  options: TrainFeatureNetworkOptions,
): Promise<TrainResult> {
  return train(network, {
    ...options,
    loss: ({ images, labels }) => {
      const task = labels ? labelled(images, labels) : rotated(images)
      if (!labels && network.classes !== 4)
        throw new RangeError(`labels: expected them for ${network.classes} classes; rotations are 4`)
      const logits = network.forward(task.images) // [B, classes]
      const target = tf.oneHot(task.labels, network.classes)
      const loss: tf.Scalar = tf.neg(tf.mean(tf.sum(tf.mul(target, logSoftmax(logits)), -1)))
      const hits = tf.equal(tf.argMax(logits, -1), task.labels)
      return { loss, metrics: { accuracy: tf.mean(tf.cast(hits, 'float32')) } }
    },
  })
}

interface Task {
  readonly images: tf.Tensor4D
  readonly labels: tf.Tensor1D
}

function labelled(images: tf.Tensor4D, labels: tf.Tensor1D): Task {
  requireShape('labels', labels, [images.shape[0]])
  if (labels.dtype !== 'int32') throw new RangeError(`labels: expected int32, got ${labels.dtype}`)
  return { images, labels }
}

/** Every image in its four turns, [4 B, H, W, channels], and how many quarters each was turned by. */
function rotated(images: tf.Tensor4D): Task {
  const [batch, height, width] = images.shape
  if (height !== width)
    throw new RangeError(`images: expected square ones to rotate, got ${describeShape(images.shape)}`)
  const turns = Int32Array.from({ length: 4 * batch }, (_, i) => Math.floor(i / batch))
  return { images: tf.concat([0, 1, 2, 3].map((turn) => quarterTurns(images, turn))), labels: tf.tensor1d(turns) }
}

/**
 * Rotates images counterclockwise.
 * @param images [B, H, W, channels]
 * @param turns how many quarters
 * @returns [B, H, W, channels], with H and W exchanged for odd turns
 */
export function quarterTurns(images: tf.Tensor4D, turns: number): tf.Tensor4D {
  requireInteger('turns', turns, 0)
  return tf.tidy(() => {
    const transposed = turns % 2 === 0 ? images : tf.transpose(images, [0, 2, 1, 3])
    const reversed = [[], [1], [1, 2], [2]][turns % 4]!
    return reversed.length === 0 ? tf.clone(images) : tf.reverse(transposed, reversed)
  })
}

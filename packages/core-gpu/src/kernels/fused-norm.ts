import * as tf from '@tensorflow/tfjs-core'
import { isRecording } from '../autodiff/is-recording.ts'
import { stopGradient } from '../autodiff/stop-gradient.ts'
import { requireShape, requireTensor } from '../validation/validation.ts'
import { hasKernel } from './registry.ts'

/** What follows a normalisation, per feature; null for nothing. */
export interface NormParameters {
  /** [features]; default null */
  readonly scale?: tf.Tensor | null
  /** [features]; default null */
  readonly offset?: tf.Tensor | null
}

/** How a normalisation is computed. */
interface Norm {
  /** of the fused kernel: it gives y and then the statistics; the gradient's is this and `Gradient` */
  readonly kernelName: string
  /** what the kernel's outputs after y are called among the gradient's inputs */
  readonly statistics: readonly string[]
  readonly attributes: tf.NamedAttrMap
  /** in plain operations, to be called in a tidy */
  reference(x: tf.Tensor, parameters: NormParameters): tf.Tensor
}

/**
 * A normalisation by the backend's fused kernel, else by plain operations; differentiable towards x and the parameters.
 *
 * The gradient's kernel takes x, dy, the statistics and, if given, scale; it gives dx, and dScale and dOffset [features]
 * when its attribute `affine` is true.
 * @throws TypeError, RangeError when x is no float32 tensor with a last dimension, or a parameter's shape differs
 */
export function fusedNorm(x: tf.Tensor, parameters: NormParameters, norm: Norm): tf.Tensor {
  requireNormInput(x, parameters)
  const { kernelName, attributes } = norm
  const given = Object.entries(parameters).filter((entry): entry is [string, tf.Tensor] => Boolean(entry[1]))
  const names = given.map(([name]) => name)
  const byName = (tensors: tf.Tensor[]): Record<string, tf.Tensor> =>
    Object.fromEntries(names.map((name, i) => [name, tensors[i]!]))
  const plain = (...[input, ...rest]: tf.Tensor[]): tf.Tensor => norm.reference(input!, byName(rest))
  const inputs = [x, ...given.map(([, tensor]) => tensor)]
  if (x.size === 0 || !hasKernel(kernelName)) return tf.tidy(() => plain(...inputs))

  return tf.tidy(() => {
    // Outside the function below, in which TensorFlow.js's own check takes whatever is only saved for a leak.
    const outputs = tf
      .engine()
      .runKernel(kernelName, { x: stopGradient(x), ...byName(inputs.slice(1).map(stopGradient)) }, attributes)
    const [y, ...statistics] = outputs as unknown as tf.Tensor[]
    const differentiable = tf.customGrad((...args) => {
      const save = args.at(-1) as unknown as (tensors: tf.Tensor[]) => void
      save([...inputs, ...statistics])
      return {
        value: y!,
        gradFunc: (dy, saved) => {
          const tensors = saved as tf.Tensor[]
          const own = tensors.slice(0, inputs.length)
          // A gradient of this gradient needs operations that are differentiable themselves.
          if (isRecording()) return tf.grads(plain)(own, dy)
          const statisticsByName = norm.statistics.map((name, i) => [name, tensors[inputs.length + i]!])
          const { scale } = byName(own.slice(1))
          const gradients = tf
            .engine()
            .runKernel(
              `${kernelName}Gradient`,
              { x: own[0]!, dy: dy as tf.Tensor, ...Object.fromEntries(statisticsByName), ...(scale && { scale }) },
              { ...attributes, affine: names.length > 0 },
            ) as unknown as tf.Tensor[]
          const [dx, dScale, dOffset] = gradients
          return [dx!, ...names.map((name) => (name === 'scale' ? dScale! : dOffset!))]
        },
      }
    })
    return differentiable(...inputs)
  })
}

function requireNormInput(x: tf.Tensor, { scale, offset }: NormParameters): void {
  requireTensor('x', x)
  if (x.rank === 0) throw new RangeError('x: expected at least one dimension, got a scalar')
  if (x.dtype !== 'float32') throw new TypeError(`x: expected float32, got ${x.dtype}`)
  const features = x.shape.at(-1)!
  if (scale) requireShape('scale', scale, [features])
  if (offset) requireShape('offset', offset, [features])
}

/** y times scale plus offset, as far as given. */
export function scaleAndShift(y: tf.Tensor, { scale, offset }: NormParameters): tf.Tensor {
  const scaled = scale ? tf.mul(y, scale) : y
  return offset ? tf.add(scaled, offset) : scaled
}

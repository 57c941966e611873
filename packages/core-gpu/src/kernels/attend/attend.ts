import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { hasKernel } from '../registry.ts'
import {
  type AttendAttributes,
  attendAttributes,
  type Attended,
  type AttendInputs,
  attendInputs,
  type AttendOptions,
} from './contract.ts'
import { attendGradientReference, attendReference } from './reference.ts'

/** What the kernel XAttendGradient takes beside the inputs of XAttend; it gives [dq, dk, dv, dBias?, dSinks?], in the shapes of its inputs. */
export interface AttendGradientInputs extends AttendInputs {
  readonly output: tf.Tensor4D
  readonly logSumExp: tf.Tensor3D
  readonly dOutput: tf.Tensor4D
  /** absent where nothing depends on logSumExp */
  readonly dLogSumExp?: tf.Tensor3D
}

/**
 * Scaled dot-product attention, without forming the L x S matrix where the backend has a kernel for it.
 *
 * Scores are scaled, capped, biased and masked, in this order; then comes the softmax, its statistics in float32. Query
 * head s reads head floor(s g / h) of k and v. Differentiable in q, k, v, bias and sinks; backwards the scores are
 * computed anew from q, k, v and logSumExp (arXiv 2205.14135, 2307.08691). Where both results are differentiated, that
 * happens for each of them.
 * @param q queries, float32 [B, h, L, d]
 * @param k keys, float32 [B, g, S, d]; g divides h (arXiv 1911.02150, 2305.13245)
 * @param v values, float32 [B, g, S, dv]
 * @returns output [B, h, L, dv] and logSumExp [B, h, L]
 * @throws TypeError when something is no tensor
 * @throws RangeError when shapes, element types or options do not fit
 */
export function attend(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, options: AttendOptions = {}): Attended {
  const inputs = attendInputs(q, k, v, options)
  const attributes = attendAttributes(q.shape[3], options)
  const { mask, ...differentiable } = inputs
  const [output, logSumExp] = runAttention('XAttend', inputs, attributes, attendReference)

  // One node of the tape for each result, because a custom gradient has one value.
  const names = Object.keys(differentiable)
  const node = (value: tf.Tensor, upstream: (dy: tf.Tensor, output: tf.Tensor) => object): tf.Tensor =>
    tf.customGrad((...args) => {
      const save = args.pop() as unknown as (tensors: tf.Tensor[]) => void
      save([...(args as tf.Tensor[]), output, logSumExp, ...(mask ? [mask] : [])])
      return {
        value: tf.clone(value),
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
          const [o, lse, visible] = saved.slice(names.length) as [tf.Tensor4D, tf.Tensor3D, tf.Tensor4D?]
          const known = {
            ...Object.fromEntries(names.map((name, i) => [name, saved[i]!])),
            ...(visible && { mask: visible }),
            output: o,
            logSumExp: lse,
            ...upstream(dy, o),
          } as AttendGradientInputs
          return runAttention('XAttendGradient', known, attributes, attendGradientReference)
        },
      }
    })(...Object.values(differentiable))
  const attended = {
    output: node(output, (dOutput) => ({ dOutput })) as tf.Tensor4D,
    logSumExp: node(logSumExp, (dLogSumExp, o) => ({ dOutput: tf.zerosLike(o), dLogSumExp })) as tf.Tensor3D,
  }
  tf.dispose([output, logSumExp, inputs.bias ?? [], mask ?? []])
  return attended
}

/** Runs a kernel of attention, or its reference where the backend has none or there is nothing to compute. */
export function runAttention<Inputs extends AttendInputs, Results extends tf.Tensor[]>(
  kernelName: string,
  inputs: Inputs,
  attributes: AttendAttributes,
  reference: (inputs: Inputs, attributes: AttendAttributes) => Results,
): Results {
  if (hasKernel(kernelName) && inputs.q.size > 0 && inputs.k.size > 0 && inputs.v.size > 0)
    return tf
      .engine()
      .runKernel(kernelName, { ...inputs } as unknown as tf.NamedTensorMap, { ...attributes }) as unknown as Results
  // Constants: what plain operations save for a gradient of their own would be the whole matrix.
  const constants = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, stopGradient(x as tf.Tensor)]))
  const results = tf.tidy(() => reference(constants as unknown as Inputs, attributes))
  tf.dispose(constants)
  return results
}

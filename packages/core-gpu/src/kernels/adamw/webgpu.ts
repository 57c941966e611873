import type * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { type Binding, runProgram, takeOver } from '../webgpu-program.ts'
import type { AdamWOptions } from './adamw.ts'

/**
 * XAdamW: one pass in place; what it returns has the old tensors' buffers.
 *
 * Floor: 14 operations and 28 bytes moved (16 read, 12 written) for each element; no working memory.
 */
export const adamwWebgpu: Kernel = ({ parameter, gradient, firstMoment, secondMoment }, attributes, backend) => {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step } = attributes as unknown as AdamWOptions
  const updated = [parameter!, firstMoment!, secondMoment!].map((tensor) => takeOver(backend, tensor))
  const width = parameter!.size % 4 === 0 ? 4 : 1
  const [p, m, v, g] = [...updated, gradient!].map((tensor: tf.TensorInfo) => ({
    tensor,
    as: width === 4 ? 'vec4<f32>' : 'f32',
  })) as [Binding, Binding, Binding, Binding]
  runProgram(backend, {
    name: 'adamw',
    reads: { g },
    writes: { p, m, v },
    sizes: { count: parameter!.size / width },
    numbers: {
      beta1,
      beta2,
      rest1: 1 - beta1,
      rest2: 1 - beta2,
      epsilon,
      keep: 1 - learningRate * weightDecay,
      rate: learningRate / (1 - beta1 ** step),
      unbias: 1 / (1 - beta2 ** step),
    },
    workgroups: Math.ceil(parameter!.size / width / 256),
    main: `
      let at = group * 256u + lane;
      if (at >= u.count) { return; }
      let first = u.beta1 * m[at] + u.rest1 * g[at];
      let second = u.beta2 * v[at] + u.rest2 * g[at] * g[at];
      m[at] = first;
      v[at] = second;
      p[at] = u.keep * p[at] - u.rate * first / (sqrt(u.unbias * second) + u.epsilon);`,
  })
  return updated
}

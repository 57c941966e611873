import * as tf from '@tensorflow/tfjs-core'
import { replaceKernel, tensorOf } from '../registry.ts'

// What tfjs's wasm kernels apply as they should; the others come after the sum.
const fused = new Set(['linear', 'relu', 'relu6', 'leakyrelu'])

const apart: Record<string, (x: tf.Tensor, weights?: tf.Tensor) => tf.Tensor> = {
  elu: (x) => tf.elu(x),
  prelu: (x, weights) => tf.prelu(x, weights!),
  sigmoid: (x) => tf.sigmoid(x),
}

/** Takes activations out of fused kernels that apply them wrongly: the sum first, then the activation. */
export function activateApart(): void {
  for (const kernelName of [tf._FusedMatMul, tf.FusedConv2D, tf.FusedDepthwiseConv2D]) {
    const kernel = tf.getKernel(kernelName, 'wasm')
    if (!kernel) continue
    replaceKernel('wasm', kernelName, (inputs, attributes, backend) => {
      const activation = attributes['activation'] as string
      const run = (activation: string): tf.TensorInfo =>
        kernel.kernelFunc({
          inputs,
          attrs: { ...attributes, activation } as tf.NamedAttrMap,
          backend,
        }) as tf.TensorInfo
      const activate = apart[activation]
      if (fused.has(activation) || !activate) return run(activation)
      return tf.tidy(() => {
        const sum = tensorOf(run('linear'))
        return activate(sum, inputs['preluActivationWeights'])
      })
    })
  }
}

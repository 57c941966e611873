import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, replaceKernel, tensorOf } from '../registry.ts'

type Triple = readonly [number, number, number]

/** What a kernel over three axes slides over its input, and the input's shape. */
interface Windows {
  readonly shape: number[]
  readonly window: Triple
  readonly strides: Triple
}

/**
 * Makes 3-D windows right whose padding is `same` and whose stride exceeds them: takes off what no window sees.
 *
 * tfjs computes a negative padding there and shifts every window.
 */
export function cropUnseen3d(backendName: string): void {
  const forward = (kernelName: string, windowOf: (inputs: Inputs, attributes: Attributes) => Triple): void =>
    wrap(backendName, kernelName, 'x', (inputs, attributes) => ({
      shape: inputs['x']!.shape,
      window: windowOf(inputs, attributes),
      strides: tripleOf(attributes['strides']),
    }))
  forward(tf.Conv3D, ({ filter }, { dilations }) => reach(filter!.shape, tripleOf(dilations ?? 1)))
  forward(tf.Conv3DBackpropFilterV2, (_, { filterShape }) => reach(filterShape as number[], [1, 1, 1]))
  forward(tf.AvgPool3D, (_, { filterSize }) => tripleOf(filterSize))
  forward(tf.MaxPool3D, (_, { filterSize }) => tripleOf(filterSize))
  for (const kernelName of [tf.AvgPool3DGrad, tf.MaxPool3DGrad])
    wrap(backendName, kernelName, 'input', ({ input }, { filterSize, strides }) => ({
      shape: input!.shape,
      window: tripleOf(filterSize),
      strides: tripleOf(strides),
    }))
  wrap(backendName, tf.Conv3DBackpropInputV2, null, ({ filter }, { inputShape, strides }) => ({
    shape: inputShape as number[],
    window: reach(filter!.shape, [1, 1, 1]),
    strides: tripleOf(strides),
  }))
}

type Inputs = Parameters<Kernel>[0]
type Attributes = Parameters<Kernel>[1]

const gradients = new Set([tf.AvgPool3DGrad, tf.MaxPool3DGrad, tf.Conv3DBackpropInputV2])

/** `cropped` names the input that is cropped; a gradient towards it gets zeros where nothing was seen. */
function wrap(
  backendName: string,
  kernelName: string,
  cropped: string | null,
  windowsOf: (inputs: Inputs, attributes: Attributes) => Windows,
): void {
  const kernel = tf.getKernel(kernelName, backendName)
  if (!kernel) return
  replaceKernel(backendName, kernelName, (inputs, attributes, backend) => {
    const run = (inputs: Inputs, attributes: Attributes): tf.TensorInfo =>
      kernel.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend }) as tf.TensorInfo
    const { shape, window, strides } = windowsOf(inputs, attributes)
    const seen = attributes['pad'] === 'same' ? seenShape(shape, window, strides) : shape
    if (tf.util.arraysEqual(seen, shape)) return run(inputs, attributes)
    return tf.tidy(() => {
      const few =
        cropped === null ? inputs : { ...inputs, [cropped]: tf.slice(inputs[cropped]!, [0, 0, 0, 0, 0], seen) }
      const result = tensorOf(run(few, cropped === null ? { ...attributes, inputShape: seen } : attributes))
      if (!gradients.has(kernelName)) return result
      // One axis at a time: tfjs's webgpu cannot pad five.
      return [1, 2, 3].reduce<tf.Tensor>((padded, axis) => padBehind(padded, axis, shape[axis]!), result)
    })
  })
}

function padBehind(x: tf.Tensor, axis: number, size: number): tf.Tensor {
  const missing = size - x.shape[axis]!
  if (missing === 0) return x
  const before = tf.util.sizeFromShape(x.shape.slice(0, axis))
  const behind = tf.util.sizeFromShape(x.shape.slice(axis + 1))
  const padded = tf.pad(tf.reshape(x, [before, x.shape[axis]!, behind]), [[0, 0], [0, missing], [0, 0]]) // prettier-ignore
  return tf.reshape(padded, x.shape.with(axis, size))
}

/** How much of an input [b, d, h, w, c] the windows see. */
function seenShape(shape: number[], window: Triple, strides: Triple): number[] {
  return shape.map((size, axis) => {
    if (axis === 0 || axis === 4) return size
    const [reach, stride] = [window[axis - 1]!, strides[axis - 1]!]
    return Math.min(size, (Math.ceil(size / stride) - 1) * stride + reach)
  })
}

function reach(filterShape: readonly number[], dilations: Triple): Triple {
  return [0, 1, 2].map((axis) => (filterShape[axis]! - 1) * dilations[axis]! + 1) as unknown as Triple
}

function tripleOf(value: unknown): Triple {
  if (typeof value === 'number') return [value, value, value]
  const list = value as number[]
  return (list.length === 1 ? [list[0]!, list[0]!, list[0]!] : list) as unknown as Triple
}

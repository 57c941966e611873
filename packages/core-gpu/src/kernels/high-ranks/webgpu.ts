import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, replaceKernel, stockKernel, tensorOf } from '../registry.ts'

// What tfjs's webgpu shaders cannot do over five and six axes, done over fewer. Where they try, they fail without an error.

const comparisons = [
  tf.Equal,
  tf.Greater,
  tf.GreaterEqual,
  tf.Less,
  tf.LessEqual,
  tf.LogicalAnd,
  tf.LogicalOr,
  tf.NotEqual,
]
const elementwise = [
  ...comparisons,
  tf.Add,
  tf.Atan2,
  tf.FloorDiv,
  tf.Maximum,
  tf.Minimum,
  tf.Mod,
  tf.Multiply,
  tf.Pow,
  tf.Prelu,
  tf.RealDiv,
  tf.Select,
  tf.SquaredDifference,
  tf.Sub,
]

/** Elementwise operations of several inputs: broadcast first, then as one axis. */
export function flattenHighRanks(): void {
  for (const kernelName of elementwise) {
    const stock = stockKernel('webgpu', kernelName)
    replaceKernel('webgpu', kernelName, (inputs, attributes, backend) => {
      const run = (inputs: Record<string, tf.Tensor>): tf.TensorInfo =>
        stock.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend }) as tf.TensorInfo
      const tensors = Object.values(inputs)
      if (tensors.every(({ rank }) => rank <= 4)) return run(inputs)
      const shape = tensors.reduce<number[]>(
        (shape, x) => tf.broadcast_util.assertAndGetBroadcastShape(shape, x.shape),
        [],
      )
      return tf.tidy(() => {
        if (shape.includes(0)) return tf.zeros(shape, comparisons.includes(kernelName) ? 'bool' : tensors.at(-1)!.dtype)
        const flat = Object.entries(inputs).map(([name, x]) => [name, tf.reshape(tf.broadcastTo(x, shape), [-1])])
        return tf.reshape(tensorOf(run(Object.fromEntries(flat) as Record<string, tf.Tensor>)), shape)
      })
    })
  }
}

/** Kernels that go axis by axis over more than four axes. */
export function axisByAxis(): Record<string, Kernel> {
  return {
    [tf.PadV2]: overAxes(tf.PadV2, ({ paddings, constantValue }, axis) => {
      const [before, behind] = (paddings as [number, number][])[axis]!
      if (before === 0 && behind === 0) return null
      return (rows) => tf.pad(rows, [[0, 0], [before, behind], [0, 0]], constantValue as number) // prettier-ignore
    }),
    [tf.Reverse]: overAxes(tf.Reverse, ({ dims }, axis, rank) => {
      const reversed = (dims as number[]).some((dim) => (dim + rank) % rank === axis)
      return reversed ? (rows) => tf.reverse(rows, 1) : null
    }),
    [tf.Tile]: overAxes(tf.Tile, ({ reps }, axis) => {
      const count = (reps as number[])[axis]!
      return count === 1 ? null : (rows) => tf.tile(rows, [1, count, 1])
    }),
  }
}

type Step = (rows: tf.Tensor3D) => tf.Tensor

/** `stepOf` says what to do with an axis, given as the middle one of three. */
function overAxes(
  kernelName: string,
  stepOf: (attributes: Record<string, unknown>, axis: number, rank: number) => Step | null,
): Kernel {
  const stock = stockKernel('webgpu', kernelName)
  return (inputs, attributes, backend) => {
    const x = inputs['x']!
    if (x.rank <= 4) return stock.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
    return tf.tidy(() => {
      let result = tf.clone(x)
      for (let axis = 0; axis < x.rank; axis++) {
        const step = stepOf(attributes, axis, x.rank)
        if (!step) continue
        const [before, behind] = [result.shape.slice(0, axis), result.shape.slice(axis + 1)]
        const rows = step(
          tf.reshape(result, [tf.util.sizeFromShape(before), result.shape[axis]!, tf.util.sizeFromShape(behind)]),
        )
        result = tf.reshape(rows, [...before, rows.shape[1]!, ...behind])
      }
      return result
    })
  }
}

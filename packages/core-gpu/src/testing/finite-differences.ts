import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '../autodiff/value-and-gradients.ts'
import { key as makeKey, type Key } from '../random/key.ts'

export interface CheckGradientsOptions {
  /** distance of the differences; default 2^-5 */
  readonly step?: number
  /** greatest error, relative to the largest derivative towards the same input (or to 1e-2); default 2e-3 */
  readonly tolerance?: number
  /** elements tried of each input, drawn at random if it has more; default 24 */
  readonly elements?: number
  /** default `key(0)` */
  readonly key?: Key
}

/**
 * Compares gradients with finite differences.
 *
 * The output is weighted with random numbers and summed in float64, so that every output counts and float32 costs little
 * accuracy; differences take five points, exact up to the fourth power. Keep clear of kinks by more than two steps.
 * @param f from the inputs to a tensor of any shape; must not draw anything new from call to call
 * @param inputs float32 by name; a `tf.Variable` is changed in place and gets its values back
 * @throws Error naming the input and element whose gradient is wrong
 */
export async function checkGradients<Inputs extends Record<string, tf.Tensor>>(
  f: (inputs: Inputs) => tf.Tensor,
  inputs: Inputs,
  options: CheckGradientsOptions = {},
): Promise<void> {
  const { step = 2 ** -5, tolerance = 2e-3, elements = 24, key = makeKey(0) } = options
  const [weightKey, elementKey] = key.split(2) as [Key, Key]
  const variables = variablesOf(inputs)
  const call = (): tf.Tensor => tf.tidy(() => f(variables as unknown as Inputs))
  let weights: tf.Tensor | undefined
  let gradients: Record<string, tf.Tensor> = {}
  try {
    const shape = tf.tidy(() => call().shape)
    weights = weightKey.uniform(shape, { min: -1, max: 1 })
    const weigh = await weights.data<'float32'>()
    const value = (): Promise<number> => weightedSum(call(), weigh)
    gradients = gradientsOf(variables, () => tf.sum(tf.mul(call(), weights!)))
    for (const [i, [name, variable]] of Object.entries(variables).entries()) {
      const analytic = gradients[name] ? await gradients[name].data<'float32'>() : new Float32Array(variable.size)
      const chosen = elementKey.fold(i).permutation(variable.size).subarray(0, elements)
      await compare(name, variable, analytic, chosen, value, step, tolerance)
    }
  } finally {
    tf.dispose([gradients, weights ?? []] as tf.TensorContainer)
    for (const [name, variable] of Object.entries(variables)) if (variable !== inputs[name]) variable.dispose()
  }
}

function variablesOf(inputs: Record<string, tf.Tensor>): Record<string, tf.Variable> {
  const entries = Object.entries(inputs)
  for (const [name, { dtype }] of entries)
    if (dtype !== 'float32') throw new TypeError(`inputs.${name}: expected float32, got ${dtype}`)
  return Object.fromEntries(entries.map(([name, x]) => [name, x instanceof tf.Variable ? x : tf.variable(x)]))
}

function gradientsOf(variables: Record<string, tf.Variable>, f: () => tf.Tensor): Record<string, tf.Tensor> {
  const { loss, gradients } = valueAndGradients(variables, () => ({ loss: f() as tf.Scalar }))
  loss.dispose()
  return gradients
}

async function weightedSum(output: tf.Tensor, weights: Float32Array): Promise<number> {
  const values = await output.data()
  output.dispose()
  return weights.reduce((sum, weight, i) => sum + weight * values[i]!, 0)
}

async function compare(
  name: string,
  variable: tf.Variable,
  analytic: Float32Array,
  chosen: Int32Array,
  value: () => Promise<number>,
  step: number,
  tolerance: number,
): Promise<void> {
  const original = Float32Array.from(await variable.data<'float32'>())
  const at = async (element: number, offset: number): Promise<number> => {
    const moved = original.with(element, original[element]! + offset)
    assign(variable, moved)
    return value()
  }
  const numeric = new Map<number, number>()
  try {
    for (const element of chosen) {
      const near = (await at(element, step)) - (await at(element, -step))
      const far = (await at(element, 2 * step)) - (await at(element, -2 * step))
      numeric.set(element, (8 * near - far) / (12 * step))
    }
  } finally {
    assign(variable, original)
  }
  const scale = Math.max(
    1e-2,
    ...Array.from(numeric.values(), Math.abs),
    ...Array.from(chosen, (i) => Math.abs(analytic[i]!)),
  )
  for (const [element, expected] of numeric) {
    const error = Math.abs(analytic[element]! - expected) / scale
    // Written so that NaN fails.
    if (!(error <= tolerance)) {
      const place = `${name}[${indexOf(element, variable.shape).join(', ')}]`
      throw new Error(
        `gradient of ${place}: expected ${expected} by finite differences, got ${analytic[element]} ` +
          `(error ${error.toExponential(2)} of the largest derivative ${scale}, at most ${tolerance} allowed)`,
      )
    }
  }
}

function assign(variable: tf.Variable, values: Float32Array): void {
  tf.tidy(() => variable.assign(tf.tensor(Float32Array.from(values), variable.shape)))
}

function indexOf(element: number, shape: readonly number[]): number[] {
  return shape.map((size, axis) => Math.floor(element / tf.util.sizeFromShape(shape.slice(axis + 1))) % size)
}

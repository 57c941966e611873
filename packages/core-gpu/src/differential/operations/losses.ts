import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { at, build, type Nd } from '../nd.ts'
import { type Domain, fixed, float, type Operand, type Operation, shapes, trials, truth } from '../operation.ts'

const mean = (terms: ArrayLike<number>): Nd => ({
  shape: [],
  data: Float64Array.of(Array.from(terms).reduce((a, b) => a + b, 0) / terms.length),
})

/** Positive rows that sum to 1. */
function distributions(shape: readonly number[], seed: number): Operand {
  const drawn = float(shape, seed, [0.1, 1])
  const classes = shape.at(-1)!
  const rowSum = (row: number): number =>
    drawn.values.slice(row * classes, (row + 1) * classes).reduce((a, b) => a + b, 0)
  return { ...drawn, values: drawn.values.map((x, i) => Math.fround(x / rowSum(Math.floor(i / classes)))) }
}

function loss(
  name: string,
  run: (labels: tf.Tensor, predictions: tf.Tensor) => tf.Tensor,
  term: (label: number, prediction: number) => number,
  labels: Domain | 'binary' = [-2, 2],
  predictions: Domain = [-2, 2],
): Operation {
  return {
    name,
    kind: 'losses',
    trials: trials(shapes(1, 4, 5, 1), (shape, seed) => {
      const targets = labels === 'binary' ? { ...truth(shape, seed), dtype: 'float32' as const } : float(shape, seed, labels) // prettier-ignore
      return {
        about: name,
        operands: [fixed(targets), float(shape, seed + 1, predictions)],
        run: (y, p) => run(y!, p!),
        reference: (y, p) => mean(y!.data.map((label, i) => term(label, p!.data[i]!))),
      }
    }),
  }
}

/** Losses, averaged over their elements, and conversions that objectives need. */
export const lossOperations: Operation[] = [
  loss(
    'losses.absoluteDifference',
    (y, p) => tf.losses.absoluteDifference(y, p),
    (y, p) => Math.abs(y - p),
  ),
  loss(
    'losses.hingeLoss',
    (y, p) => tf.losses.hingeLoss(y, p),
    (y, p) => Math.max(0, 1 - (2 * y - 1) * p),
    'binary',
  ),
  loss(
    'losses.huberLoss',
    (y, p) => tf.losses.huberLoss(y, p),
    (y, p) => {
      const error = Math.abs(y - p)
      return error <= 1 ? error ** 2 / 2 : error - 0.5
    },
  ),
  loss(
    'losses.logLoss',
    (y, p) => tf.losses.logLoss(y, p),
    (y, p) => -y * Math.log(p + 1e-7) - (1 - y) * Math.log(1 - p + 1e-7),
    'binary',
    [0.1, 0.9],
  ),
  loss(
    'losses.meanSquaredError',
    (y, p) => tf.losses.meanSquaredError(y, p),
    (y, p) => (y - p) ** 2,
  ),
  loss(
    'losses.sigmoidCrossEntropy',
    (y, p) => tf.losses.sigmoidCrossEntropy(y, p),
    (y, p) => Math.max(p, 0) - p * y + Math.log1p(Math.exp(-Math.abs(p))),
    'binary',
    [-6, 6],
  ),
  {
    name: 'losses.softmaxCrossEntropy',
    kind: 'losses',
    trials: trials(shapes(2, 3, 6, 2), (shape, seed) => ({
      about: 'softmaxCrossEntropy',
      operands: [fixed(distributions(shape, seed)), float(shape, seed + 1, [-5, 5])],
      run: (y, p) => tf.losses.softmaxCrossEntropy(y!, p!),
      reference: (y, p) => {
        const classes = shape.at(-1)!
        const rows = y!.data.length / classes
        const terms = Array.from({ length: rows }, (_, row) => {
          const logits = p!.data.slice(row * classes, (row + 1) * classes)
          const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0))
          return logits.reduce((sum, x, i) => sum - y!.data[row * classes + i]! * (x - total), 0)
        })
        return mean(terms)
      },
    })),
  },
  {
    name: 'losses.cosineDistance',
    kind: 'losses',
    trials: trials(shapes(2, 3, 5, 1), (shape, seed) => ({
      about: 'cosineDistance',
      operands: [fixed(float(shape, seed)), float(shape, seed + 1)],
      run: (y, p) => tf.losses.cosineDistance(y!, p!, shape.length - 1),
      reference: (y, p) => {
        const width = shape.at(-1)!
        const rows = y!.data.length / width
        return mean(
          Array.from({ length: rows }, (_, row) => {
            let product = 0
            for (let i = row * width; i < (row + 1) * width; i++) product += y!.data[i]! * p!.data[i]!
            return 1 - product
          }),
        )
      },
    })),
  },
  {
    name: 'cast',
    kind: 'losses',
    trials: trials(fc.tuple(shapes(0, 5), fc.constantFrom('int32', 'bool', 'float32')), ([shape, to], seed) => ({
      about: `cast to ${to}`,
      operands: [float(shape, seed, [-3, 3])],
      run: (x) => tf.cast(x!, to as 'int32'),
      // Towards whole numbers and truth values the gradient passes as if nothing had happened: see `straightThrough`.
      reference: (x) =>
        build(shape, (index) => {
          const value = at(x!, index)
          return to === 'int32' ? Math.trunc(value) + 0 : to === 'bool' ? Number(value !== 0) : value
        }),
    })),
  },
]

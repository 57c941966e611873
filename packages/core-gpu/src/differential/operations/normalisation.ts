import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { along, at, build, type Nd } from '../nd.ts'
import { distinct, type Domain, float, type Operation, shapes, trials } from '../operation.ts'

const logits: fc.Arbitrary<[number[], Domain]> = fc.tuple(
  shapes(1, 5, 7, 1),
  // Large ones overflow unless the maximum is taken off first.
  fc.constantFrom<Domain[]>([-3, 3], [-3, 3], [90, 110], [-400, 400]),
)

/** The row of the last axis that an index lies in. */
const rowOf = (x: Nd, index: readonly number[]): number[] => along(x, [...index.slice(0, -1), null])

function logSoftmax(x: Nd): Nd {
  return build(x.shape, (index) => {
    const row = rowOf(x, index)
    const largest = Math.max(...row)
    return at(x, index) - largest - Math.log(row.reduce((sum, y) => sum + Math.exp(y - largest), 0))
  })
}

const images = fc.tuple(...[2, 4, 4, 4].map((max) => fc.integer({ min: 1, max }))) as unknown as fc.Arbitrary<
  [number, number, number, number]
>

/** Sums that run along an axis, backwards or without the element itself if wanted. */
function running(
  name: string,
  run: (x: tf.Tensor, axis: number, exclusive: boolean, reverse: boolean) => tf.Tensor,
  combine: (a: number, b: number) => number,
  neutral: number,
): Operation {
  return {
    name,
    kind: 'normalisation and scans',
    effort: 2,
    trials: trials(
      shapes(1, 4, 5, 1).chain((shape) =>
        fc.tuple(fc.constant(shape), fc.nat(shape.length - 1), fc.boolean(), fc.boolean()),
      ),
      ([shape, axis, exclusive, reverse], seed) => ({
        about: `${name} along ${axis}${exclusive ? ', exclusive' : ''}${reverse ? ', reverse' : ''}`,
        operands: [float(shape, seed, [0.4, 1.8])],
        run: (x) => run(x!, axis, exclusive, reverse),
        reference: (x) =>
          build(shape, (index) => {
            const row = along(x!, index.map((i, a) => (a === axis ? null : i))) // prettier-ignore
            const i = index[axis]!
            const taken = reverse ? row.slice(exclusive ? i + 1 : i) : row.slice(0, exclusive ? i : i + 1)
            return taken.reduce(combine, neutral)
          }),
      }),
    ),
  }
}

/** Normalisations, running sums and selections along an axis. */
export const normalisationOperations: Operation[] = [
  {
    name: 'softmax',
    kind: 'normalisation and scans',
    trials: trials(logits, ([shape, domain], seed) => ({
      about: `softmax of [${domain}]`,
      operands: [float(shape, seed, domain)],
      run: (x) => tf.softmax(x!),
      reference: (x) => {
        const logs = logSoftmax(x!)
        return { shape, data: logs.data.map(Math.exp) }
      },
    })),
  },
  {
    name: 'logSoftmax',
    kind: 'normalisation and scans',
    trials: trials(logits, ([shape, domain], seed) => ({
      about: `logSoftmax of [${domain}]`,
      operands: [float(shape, seed, domain)],
      run: (x) => tf.logSoftmax(x!),
      reference: (x) => logSoftmax(x!),
    })),
  },
  {
    name: 'batchNorm',
    kind: 'normalisation and scans',
    trials: trials(images, (shape, seed) => {
      const channels = [shape[3]]
      return {
        about: 'batchNorm',
        operands: [
          float(shape, seed),
          float(channels, seed + 1),
          float(channels, seed + 2, [0.3, 2]),
          float(channels, seed + 3),
          float(channels, seed + 4),
        ],
        run: (x, mean, variance, offset, scale) =>
          tf.batchNorm(
            x as tf.Tensor4D,
            mean as tf.Tensor1D,
            variance as tf.Tensor1D,
            offset as tf.Tensor1D,
            scale as tf.Tensor1D,
            0.01,
          ),
        reference: (x, mean, variance, offset, scale) =>
          build(shape, (index) => {
            const c = index[3]!
            const normal = (at(x!, index) - mean!.data[c]!) / Math.sqrt(variance!.data[c]! + 0.01)
            return normal * scale!.data[c]! + offset!.data[c]!
          }),
      }
    }),
  },
  {
    name: 'layer normalisation, of moments',
    kind: 'normalisation and scans',
    trials: trials(shapes(2, 4, 6, 2), (shape, seed) => ({
      about: 'layer normalisation',
      operands: [float(shape, seed)],
      run: (x) => {
        const { mean, variance } = tf.moments(x!, -1, true)
        return tf.div(tf.sub(x!, mean), tf.sqrt(tf.add(variance, 0.1)))
      },
      reference: (x) =>
        build(shape, (index) => {
          const row = rowOf(x!, index)
          const mean = row.reduce((a, b) => a + b, 0) / row.length
          const variance = row.reduce((sum, y) => sum + (y - mean) ** 2, 0) / row.length
          return (at(x!, index) - mean) / Math.sqrt(variance + 0.1)
        }),
    })),
  },
  {
    name: 'localResponseNormalization',
    kind: 'normalisation and scans',
    trials: trials(fc.tuple(images, fc.nat(2)), ([shape, radius], seed) => ({
      about: `localResponseNormalization of radius ${radius}`,
      operands: [float(shape, seed)],
      run: (x) => tf.localResponseNormalization(x as tf.Tensor4D, radius, 1, 0.5, 0.75),
      reference: (x) =>
        build(shape, (index) => {
          let sum = 0
          for (let c = index[3]! - radius; c <= index[3]! + radius; c++) sum += at(x!, index.with(3, c), 0) ** 2
          return at(x!, index) / (1 + 0.5 * sum) ** 0.75
        }),
    })),
  },
  running('cumprod', tf.cumprod, (a, b) => a * b, 1),
  running('cumsum', tf.cumsum, (a, b) => a + b, 0),
  {
    name: 'topk',
    kind: 'normalisation and scans',
    trials: trials(
      shapes(1, 4, 7, 1).chain((shape) => fc.tuple(fc.constant(shape), fc.integer({ min: 1, max: shape.at(-1)! }))),
      ([shape, k], seed) => ({
        about: `topk ${k}`,
        operands: [distinct(shape, seed)],
        run: (x) => {
          const { values, indices } = tf.topk(x!, k)
          return [values, indices]
        },
        reference: (x) => {
          const order = (index: readonly number[]): number[] => {
            const row = rowOf(x!, index)
            return [...row.keys()].sort((i, j) => row[j]! - row[i]!)
          }
          const out = [...shape.slice(0, -1), k]
          return [
            build(out, (index) => rowOf(x!, index)[order(index)[index.at(-1)!]!]!),
            build(out, (index) => order(index)[index.at(-1)!]!),
          ]
        },
      }),
    ),
  },
]

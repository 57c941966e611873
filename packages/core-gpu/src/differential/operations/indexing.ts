import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { at, build, indices, positionOf } from '../nd.ts'
import { axisOf, float, given, type Operation, shapes, trials, whole } from '../operation.ts'
import { numbers } from '../../kernels/testing.ts'

const small = fc.integer({ min: 1, max: 5 })

/** Rows of valid indices into the leading axes of a shape; `distinct` rows come without repetition. */
function rows(shape: readonly number[], depth: number, count: number, seed: number, distinct: boolean): number[][] {
  const all = indices(shape.slice(0, depth))
  const draws = numbers(Math.max(count, all.length), seed)
  if (!distinct) return Array.from({ length: count }, (_, i) => all[Math.floor(((draws[i]! + 1) / 2) * all.length)]!)
  return all
    .map((row, i) => [draws[i]!, row] as const)
    .sort(([a], [b]) => a - b)
    .slice(0, count)
    .map(([, row]) => row)
}

const deep = shapes(1, 5, 4, 1).chain((shape) =>
  fc.tuple(fc.constant(shape), fc.integer({ min: 1, max: shape.length }), fc.nat(5)),
)

const withAxis = shapes(1, 5, 4, 1).chain((shape) => fc.tuple(fc.constant(shape), axisOf(shape)))

/** Reading and writing at computed places. */
export const indexingOperations: Operation[] = [
  {
    name: 'gather',
    kind: 'indexing',
    effort: 2,
    trials: trials(fc.tuple(withAxis, shapes(0, 2)), ([[shape, axis], places], seed) => {
      const a = (axis + shape.length) % shape.length
      return {
        about: `gather along ${axis}`,
        operands: [float(shape, seed), whole(places, seed + 1, 0, shape[a]! - 1)],
        run: (x, ids) => tf.gather(x!, ids as tf.Tensor1D, axis),
        reference: (x, ids) =>
          build(
            shape.toSpliced(a, 1, ...places),
            (index) =>
            at(x!, shape.map((_, i) => (i < a ? index[i]! : i === a ? at(ids!, index.slice(a, a + places.length)) : index[i + places.length - 1]!))), // prettier-ignore
          ),
      }
    }),
  },
  {
    name: 'gather, with batches',
    kind: 'indexing',
    trials: trials(fc.tuple(small, small, small, small), ([batch, n, d, count], seed) => ({
      about: 'gather along 1 with 1 batch dimension',
      operands: [float([batch, n, d], seed), whole([batch, count], seed + 1, 0, n - 1)],
      run: (x, ids) => tf.gather(x!, ids as tf.Tensor2D, 1, 1),
      reference: (x, ids) => build([batch, count, d], ([b, i, j]) => at(x!, [b!, at(ids!, [b!, i!]), j!])),
    })),
  },
  {
    name: 'gatherND',
    kind: 'indexing',
    trials: trials(deep, ([shape, depth, count], seed) => {
      const places = rows(shape, depth, count, seed + 1, false)
      return {
        about: `gatherND of ${count} at depth ${depth}`,
        operands: [float(shape, seed), given([count, depth], places.flat(), 'int32')],
        run: (x, ids) => tf.gatherND(x!, ids!),
        reference: (x) =>
          build([count, ...shape.slice(depth)], ([row, ...inner]) => at(x!, [...places[row!]!, ...inner])),
      }
    }),
  },
  {
    name: 'scatterND',
    kind: 'indexing',
    trials: trials(deep, ([shape, depth, count], seed) => {
      const places = rows(shape, depth, count, seed + 1, false)
      return {
        about: `scatterND of ${count} at depth ${depth}`,
        operands: [given([count, depth], places.flat(), 'int32'), float([count, ...shape.slice(depth)], seed)],
        run: (ids, updates) => tf.scatterND(ids!, updates!, shape),
        reference: (_, updates) =>
          build(shape, (index) =>
            places.reduce(
              (sum, place, row) =>
                place.every((i, axis) => i === index[axis]) ? sum + at(updates!, [row, ...index.slice(depth)]) : sum,
              0,
            ),
          ),
      }
    }),
  },
  {
    name: 'tensorScatterUpdate',
    kind: 'indexing',
    trials: trials(deep, ([shape, depth, drawn], seed) => {
      const places = rows(shape, depth, drawn, seed + 1, true)
      const count = places.length
      return {
        about: `tensorScatterUpdate of ${count} at depth ${depth}`,
        operands: [
          float(shape, seed),
          given([count, depth], places.flat(), 'int32'),
          float([count, ...shape.slice(depth)], seed + 2),
        ],
        run: (x, ids, updates) => tf.tensorScatterUpdate(x!, ids!, updates!),
        reference: (x, _, updates) =>
          build(shape, (index) => {
            const row = places.findIndex((place) => place.every((i, axis) => i === index[axis]))
            return row < 0 ? at(x!, index) : at(updates!, [row, ...index.slice(depth)])
          }),
      }
    }),
  },
  {
    name: 'oneHot',
    kind: 'indexing',
    trials: trials(fc.tuple(shapes(0, 4), fc.integer({ min: 2, max: 5 })), ([shape, depth], seed) => ({
      about: `oneHot of depth ${depth}`,
      operands: [whole(shape, seed, -1, depth)],
      run: (ids) => tf.oneHot(ids!, depth, 2, -1),
      reference: (ids) => build([...shape, depth], (index) => (at(ids!, index.slice(0, -1)) === index.at(-1) ? 2 : -1)),
    })),
  },
  {
    name: 'unsortedSegmentSum',
    kind: 'indexing',
    trials: trials(fc.tuple(shapes(1, 4), small), ([shape, count], seed) => ({
      about: `unsortedSegmentSum into ${count}`,
      operands: [float(shape, seed), whole([shape[0]!], seed + 1, 0, count - 1)],
      run: (x, ids) => tf.unsortedSegmentSum(x!, ids as tf.Tensor1D, count),
      reference: (x, ids) =>
        build([count, ...shape.slice(1)], ([segment, ...inner]) =>
          ids!.data.reduce((sum, id, row) => (id === segment ? sum + at(x!, [row, ...inner]) : sum), 0),
        ),
    })),
  },
  {
    name: 'linalg.bandPart',
    kind: 'indexing',
    trials: trials(
      fc.tuple(shapes(0, 2, 3, 1), small, small, fc.nat(5), fc.nat(5)),
      ([batch, m, n, below, above], seed) => {
        const [lower, upper] = [Math.min(m, below) - 1, Math.min(n, above) - 1] // -1 keeps all
        return {
          about: `bandPart ${lower}, ${upper}`,
          operands: [float([...batch, m, n], seed)],
          run: (x) => tf.linalg.bandPart(x!, lower, upper),
          reference: (x) =>
            build([...batch, m, n], (index) => {
              const [i, j] = [index.at(-2)!, index.at(-1)!]
              return (lower < 0 || i - j <= lower) && (upper < 0 || j - i <= upper) ? at(x!, index) : 0
            }),
        }
      },
    ),
  },
  {
    name: 'diag',
    kind: 'indexing',
    trials: trials(shapes(1, 2, 4, 1), (shape, seed) => ({
      about: 'diag',
      operands: [float(shape, seed)],
      run: (x) => tf.diag(x!),
      reference: (x) =>
        build([...shape, ...shape], (index) => {
          const [row, column] = [index.slice(0, shape.length), index.slice(shape.length)]
          return row.join() === column.join() ? at(x!, row) : 0
        }),
    })),
  },
  {
    name: 'sparseToDense',
    kind: 'indexing',
    trials: trials(fc.tuple(small, small), ([n, drawn], seed) => {
      const places = rows([n], 1, drawn, seed + 1, true)
      return {
        about: 'sparseToDense',
        operands: [given([places.length], places.flat(), 'int32'), float([places.length], seed)],
        run: (ids, values) => tf.sparseToDense(ids!, values!, [n], 0),
        reference: (_, values) =>
          build([n], ([i]) => {
            const row = places.findIndex(([place]) => place === i)
            return row < 0 ? 0 : values!.data[positionOf([places.length], [row])]!
          }),
      }
    }),
  },
]

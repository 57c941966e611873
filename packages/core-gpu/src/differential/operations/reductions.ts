import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { along, build, type Nd } from '../nd.ts'
import { axisOf, distinct, float, type Operand, type Operation, shapes, trials, truth } from '../operation.ts'

interface Reduction {
  readonly shape: number[]
  readonly axes: number[]
  readonly keepDims: boolean
}

const reductions = (least: number): fc.Arbitrary<Reduction> =>
  shapes(0, 6, 4, least).chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axes: fc.subarray([...shape.keys()], { minLength: Math.min(1, shape.length) }),
      keepDims: fc.boolean(),
    }),
  )

function reduced({ shape, axes, keepDims }: Reduction, x: Nd, f: (elements: number[]) => number): Nd {
  const kept = [...shape.keys()].filter((axis) => !axes.includes(axis))
  const out = keepDims ? shape.map((n, axis) => (axes.includes(axis) ? 1 : n)) : kept.map((axis) => shape[axis]!)
  return build(out, (index) =>
    f(
      along(
        x,
        shape.map((_, axis) => (axes.includes(axis) ? null : index[keepDims ? axis : kept.indexOf(axis)]!)),
      ),
    ),
  )
}

type Draw = (shape: readonly number[], seed: number) => Operand

function reduction(
  name: string,
  run: (x: tf.Tensor, axes: number[], keepDims: boolean) => tf.Tensor,
  f: (elements: number[]) => number,
  draw: Draw = float,
  least = 0,
): Operation {
  return {
    name,
    kind: 'reduction',
    effort: 2,
    trials: trials(reductions(least), (attributes, seed) => ({
      about: `${name} over [${attributes.axes}]${attributes.keepDims ? ', kept' : ''}`,
      operands: [draw(attributes.shape, seed)],
      run: (x) => run(x!, attributes.axes, attributes.keepDims),
      reference: (x) => reduced(attributes, x!, f),
    })),
  }
}

const sum = (x: number[]): number => x.reduce((a, b) => a + b, 0)
const mean = (x: number[]): number => sum(x) / x.length
const positive: Draw = (shape, seed) => float(shape, seed, [0.3, 2])

function picking(
  name: string,
  run: (x: tf.Tensor, axis: number) => tf.Tensor,
  pick: (...elements: number[]) => number,
): Operation {
  return {
    name,
    kind: 'reduction',
    trials: trials(
      shapes(1, 5, 5, 1).chain((shape) => fc.tuple(fc.constant(shape), axisOf(shape))),
      ([shape, axis], seed) => ({
        about: `${name} along ${axis}`,
        operands: [distinct(shape, seed)],
        run: (x) => run(x!, axis),
        reference: (x) =>
          reduced({ shape, axes: [(axis + shape.length) % shape.length], keepDims: false }, x!, (elements) =>
            elements.indexOf(pick(...elements)),
          ),
      }),
    ),
  }
}

/** Sums and the like over some axes. */
export const reductionOperations: Operation[] = [
  reduction(
    'all',
    (x, axes, keep) => tf.all(x, axes, keep),
    (x) => (x.every((y) => y !== 0) ? 1 : 0),
    truth,
  ),
  reduction(
    'any',
    (x, axes, keep) => tf.any(x, axes, keep),
    (x) => (x.some((y) => y !== 0) ? 1 : 0),
    truth,
  ),
  picking('argMax', tf.argMax, Math.max),
  picking('argMin', tf.argMin, Math.min),
  reduction(
    'logSumExp',
    (x, axes, keep) => tf.logSumExp(x, axes, keep),
    (x) => Math.log(sum(x.map(Math.exp))),
    (shape, seed) => float(shape, seed, [-9, 9]),
    1,
  ),
  reduction(
    'max',
    (x, axes, keep) => tf.max(x, axes, keep),
    (x) => Math.max(...x),
    distinct,
    1,
  ),
  reduction('mean', (x, axes, keep) => tf.mean(x, axes, keep), mean, float, 1),
  reduction(
    'min',
    (x, axes, keep) => tf.min(x, axes, keep),
    (x) => Math.min(...x),
    distinct,
    1,
  ),
  reduction(
    'prod',
    (x, axes, keep) => tf.prod(x, axes, keep),
    (x) => x.reduce((a, b) => a * b, 1),
    positive,
  ),
  reduction('sum', (x, axes, keep) => tf.sum(x, axes, keep), sum),
  {
    name: 'moments',
    kind: 'reduction',
    trials: trials(reductions(1), (attributes, seed) => ({
      about: `moments over [${attributes.axes}]`,
      operands: [float(attributes.shape, seed)],
      run: (x) => {
        const { mean, variance } = tf.moments(x!, attributes.axes, attributes.keepDims)
        return [mean, variance]
      },
      reference: (x) => [
        reduced(attributes, x!, mean),
        reduced(attributes, x!, (elements) => mean(elements.map((y) => (y - mean(elements)) ** 2))),
      ],
    })),
  },
  {
    name: 'norm',
    kind: 'reduction',
    trials: trials(
      shapes(1, 5, 5, 1).chain((shape) => fc.tuple(fc.constant(shape), axisOf(shape))),
      ([shape, axis], seed) => ({
        about: `norm along ${axis}`,
        operands: [positive(shape, seed)],
        run: (x) => tf.norm(x!, 'euclidean', axis, true),
        reference: (x) =>
          reduced({ shape, axes: [(axis + shape.length) % shape.length], keepDims: true }, x!, (elements) =>
            Math.hypot(...elements),
          ),
      }),
    ),
  },
]

import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { broadcastAt, broadcastShape, build } from '../nd.ts'
import {
  type Domain,
  fixed,
  float,
  given,
  type Operand,
  type Operation,
  shapes,
  trials,
  truth,
  whole,
} from '../operation.ts'

/** Two shapes that broadcast to one another: either may be 1 along an axis or lack leading axes. */
const broadcasting: fc.Arbitrary<[number[], number[]]> = shapes(0, 6).chain((full) =>
  fc
    .tuple(
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: full.length, maxLength: full.length }),
      fc.integer({ min: 0, max: full.length }),
      fc.boolean(),
    )
    .map(([kinds, dropped, swap]) => {
      const a = full.map((size, axis) => (kinds[axis] === 0 ? 1 : size))
      const b = full.map((size, axis) => (kinds[axis] === 1 ? 1 : size)).slice(dropped)
      return swap ? [b, a] : [a, b]
    }),
)

/** Without sizes of 0: to those, tfjs-core's own `broadcastTo` does not broadcast. */
const nonEmpty = broadcasting.filter(([a, b]) => !broadcastShape(a, b).includes(0))

type Draw = (shape: readonly number[], seed: number) => Operand

function binary(
  name: string,
  run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  f: (a: number, b: number) => number,
  drawA: Draw | Domain = [-2, 2],
  drawB: Draw | Domain = drawA,
  pairs = broadcasting,
): Operation {
  const draw = (how: Draw | Domain): Draw =>
    typeof how === 'function' ? how : (shape, seed) => float(shape, seed, how)
  return {
    name,
    kind: 'elementwise of two',
    effort: 2,
    trials: trials(pairs, ([a, b], seed) => ({
      about: name,
      operands: [draw(drawA)(a, seed), draw(drawB)(b, seed + 1)],
      run: (x, y) => run(x!, y!),
      reference: (x, y) =>
        build(broadcastShape(x!.shape, y!.shape), (index) => f(broadcastAt(x!, index), broadcastAt(y!, index))),
    })),
  }
}

// Equal ones come up, and differences do not cross between them.
const quarters: Draw = (shape, seed) => {
  const { values } = whole(shape, seed, -3, 3)
  return given(
    shape,
    values.map((x) => x / 4),
  )
}
const oneIf = (condition: boolean): number => (condition ? 1 : 0)
const floorMod = (a: number, b: number): number => a - b * Math.floor(a / b)
const wholes: Draw = (shape, seed) => whole(shape, seed, -20, 20)
const positiveWholes: Draw = (shape, seed) => whole(shape, seed, 1, 7)

/** Functions of two elements, with broadcasting. */
export const binaryOperations: Operation[] = [
  binary('add', tf.add, (a, b) => a + b),
  binary('atan2', tf.atan2, Math.atan2, [0.2, 2], [-2, 2]),
  binary('div', tf.div, (a, b) => a / b, [-2, 2], [0.3, 2]),
  binary('divNoNan', tf.divNoNan, (a, b) => (b === 0 ? 0 : a / b), [-2, 2], [0.3, 2]),
  binary('equal', tf.equal, (a, b) => oneIf(a === b), quarters),
  binary('floorDiv', tf.floorDiv, (a, b) => Math.floor(a / b), wholes, positiveWholes),
  binary('greater', tf.greater, (a, b) => oneIf(a > b)),
  binary('greaterEqual', tf.greaterEqual, (a, b) => oneIf(a >= b)),
  binary('less', tf.less, (a, b) => oneIf(a < b)),
  binary('lessEqual', tf.lessEqual, (a, b) => oneIf(a <= b)),
  binary('logicalAnd', tf.logicalAnd, (a, b) => oneIf(a !== 0 && b !== 0), truth),
  binary('logicalOr', tf.logicalOr, (a, b) => oneIf(a !== 0 || b !== 0), truth),
  binary('logicalXor', tf.logicalXor, (a, b) => oneIf((a !== 0) !== (b !== 0)), truth),
  binary('maximum', tf.maximum, Math.max),
  binary('minimum', tf.minimum, Math.min),
  binary('mod', tf.mod, floorMod, [-3, 3], [0.6, 1.7]),
  binary('mul', tf.mul, (a, b) => a * b),
  binary('notEqual', tf.notEqual, (a, b) => oneIf(a !== b), quarters),
  binary('pow', tf.pow, (a, b) => a ** b, [0.3, 2], [-2, 2]),
  binary('prelu', tf.prelu, (a, b) => (a < 0 ? a * b : a)),
  binary('squaredDifference', tf.squaredDifference, (a, b) => (a - b) ** 2),
  binary('sub', tf.sub, (a, b) => a - b),
  binary(
    'where, over a comparison',
    (a, b) => tf.where(tf.greater(a, b), tf.mul(a, 2), tf.square(b)),
    (a, b) => (a > b ? 2 * a : b * b),
    [-2, 2],
    [-2, 2],
    nonEmpty,
  ),
  binary(
    'masks, by a comparison',
    (a, b) => tf.mul(tf.cast(tf.logicalAnd(tf.less(a, b), tf.logicalNot(tf.less(a, 0))), 'float32'), b),
    (a, b) => (a < b && !(a < 0) ? b : 0),
  ),
  {
    name: 'logicalNot',
    kind: 'elementwise',
    trials: trials(shapes(0, 6), (shape, seed) => ({
      about: 'logicalNot',
      operands: [truth(shape, seed)],
      run: (x) => tf.logicalNot(x!),
      reference: (x) => build(x!.shape, (index) => 1 - broadcastAt(x!, index)),
    })),
  },
  {
    name: 'where',
    kind: 'elementwise of two',
    trials: trials(nonEmpty, ([a, b], seed) => {
      const shape = broadcastShape(a, b)
      return {
        about: 'where',
        operands: [truth(shape, seed), float(a, seed + 1), float(b, seed + 2)],
        run: (condition, x, y) => tf.where(condition!, x!, y!),
        reference: (condition, x, y) =>
          build(shape, (index) => broadcastAt(broadcastAt(condition!, index) === 0 ? y! : x!, index)),
      }
    }),
  },
  {
    name: 'addN',
    kind: 'elementwise of two',
    trials: trials(fc.tuple(shapes(0, 4), fc.integer({ min: 1, max: 6 })), ([shape, count], seed) => ({
      about: `addN of ${count}`,
      operands: Array.from({ length: count }, (_, i) => float(shape, seed + i)),
      run: (...x) => tf.addN(x),
      reference: (...x) => build(shape, (index) => x.reduce((sum, term) => sum + broadcastAt(term, index), 0)),
    })),
  },
  {
    name: 'broadcastTo',
    kind: 'elementwise of two',
    trials: trials(nonEmpty, ([a, b], seed) => ({
      about: 'broadcastTo',
      operands: [float(a, seed)],
      run: (x) => tf.broadcastTo(x!, broadcastShape(a, b)),
      reference: (x) => build(broadcastShape(a, b), (index) => broadcastAt(x!, index)),
    })),
  },
  {
    name: 'pow, of negative numbers',
    kind: 'elementwise of two',
    trials: trials(fc.tuple(shapes(0, 4), fc.integer({ min: 2, max: 3 })), ([shape, power], seed) => ({
      about: `pow ${power}`,
      operands: [float(shape, seed), fixed(given([], [power]))],
      run: (x, y) => tf.pow(x!, y!),
      reference: (x, y) => build(shape, (index) => broadcastAt(x!, index) ** broadcastAt(y!, index)),
    })),
  },
]

import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { at, build, indices, type Nd } from '../nd.ts'
import { distinct, float, type Operation, trials } from '../operation.ts'
import { neverBlind, seen, type Windows, windows } from '../windows.ts'

interface Pooling extends Windows {
  readonly batch: number
  readonly depth: number
}

function poolings(rank: number, options: Parameters<typeof windows>[1]): fc.Arbitrary<Pooling> {
  const few = fc.integer({ min: 1, max: 3 })
  const sighted = windows(rank, options).filter(({ axes }) => axes.every(neverBlind))
  return fc.tuple(sighted, few, few).map(([w, batch, depth]) => Object.assign(w, { batch, depth }))
}

/** What each window sees inside the input; padding is not seen. */
function pool(p: Pooling, x: Nd, f: (seen: number[]) => number): Nd {
  return build([p.batch, ...p.axes.map(({ out }) => out), p.depth], (index) => {
    const inside = indices(p.axes.map(({ window }) => window)).flatMap((tap) => {
      const from = p.axes.map((axis, i) => seen(axis, index[i + 1]!, tap[i]!))
      const value = at(x, [index[0]!, ...from, index.at(-1)!])
      return Number.isNaN(value) ? [] : [value]
    })
    return f(inside)
  })
}

const mean = (x: number[]): number => x.reduce((a, b) => a + b, 0) / x.length
const max = (x: number[]): number => Math.max(...x)

function pooling(
  name: string,
  rank: 2 | 3,
  options: Parameters<typeof windows>[1],
  run: (p: Pooling, x: tf.Tensor) => tf.Tensor,
  f: (seen: number[]) => number,
): Operation {
  return {
    name,
    kind: 'pooling',
    effort: 2,
    trials: trials(poolings(rank, options), (p, seed) => {
      const draw = f === max ? distinct : float
      return {
        about: `${name}, windows [${p.axes.map(({ window }) => window)}], strides [${p.strides}], dilations [${p.dilations}], padding ${p.padding}`,
        operands: [draw([p.batch, ...p.axes.map(({ size }) => size), p.depth], seed)],
        run: (x) => run(p, x!),
        reference: (x) => pool(p, x!, f),
      }
    }),
  }
}

type Pair = [number, number]
type Triple = [number, number, number]
const sizes = (p: Pooling): number[] => p.axes.map(({ window }) => window)
const plain = { dilated: false, numeric: true }
const solid = { dilated: false, numeric: false, most: 4 }

/** Averages and maxima over windows. A window that sees padding averages over what it sees of the input. */
export const poolingOperations: Operation[] = [
  pooling(
    'avgPool',
    2,
    plain,
    (p, x) => tf.avgPool(x as tf.Tensor4D, sizes(p) as Pair, p.strides as Pair, p.padding),
    mean,
  ),
  pooling(
    'maxPool',
    2,
    plain,
    (p, x) => tf.maxPool(x as tf.Tensor4D, sizes(p) as Pair, p.strides as Pair, p.padding),
    max,
  ),
  // Padding that is `same` would put zeros around it, here as in TensorFlow.
  pooling(
    'pool, dilated',
    2,
    { dilated: true, paddings: ['valid'] },
    (p, x) =>
      tf.pool(x as tf.Tensor4D, sizes(p) as Pair, 'max', p.padding as 'same', p.dilations as Pair, p.strides as Pair),
    max,
  ),
  pooling(
    'avgPool3d',
    3,
    solid,
    (p, x) => tf.avgPool3d(x as tf.Tensor5D, sizes(p) as Triple, p.strides as Triple, p.padding as 'same'),
    mean,
  ),
  pooling(
    'maxPool3d',
    3,
    solid,
    (p, x) => tf.maxPool3d(x as tf.Tensor5D, sizes(p) as Triple, p.strides as Triple, p.padding as 'same'),
    max,
  ),
]

import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { at, build } from '../nd.ts'
import { axisOf, float, type Operation, shapes, trials } from '../operation.ts'

/** A shape with one number or choice per axis. */
function perAxis<T>(shape: number[], of: (size: number) => fc.Arbitrary<T>): fc.Arbitrary<[number[], T[]]> {
  return fc.tuple(fc.constant(shape), fc.tuple(...shape.map(of)) as unknown as fc.Arbitrary<T[]>)
}

const withAxis = (minRank = 1, maxRank = 5): fc.Arbitrary<[number[], number]> =>
  shapes(minRank, maxRank).chain((shape) => fc.tuple(fc.constant(shape), axisOf(shape)))

const slices = shapes(1, 6).chain((shape) =>
  perAxis(shape, (size) =>
    fc.tuple(fc.nat(size), fc.nat(size)).map(([a, b]) => [Math.min(a, b), Math.abs(a - b)] as const),
  ),
)

const strided = shapes(1, 5, 5, 1).chain((shape) =>
  perAxis(shape, (size) =>
    fc
      .tuple(fc.nat(size - 1), fc.nat(size - 1), fc.integer({ min: 1, max: 3 }), fc.boolean())
      // Backwards, the end lies before the begin; -size - 1 is before the first.
      .map(([a, b, step, back]) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        return back ? { begin: high, end: low - 1 - size, step: -step } : { begin: low, end: high + 1, step }
      }),
  ),
)

const list = (axes: number): string => `axis ${axes}`

/** Operations that move elements and compute nothing. */
export const rearrangingOperations: Operation[] = [
  {
    name: 'concat',
    kind: 'rearranging',
    trials: trials(
      fc.tuple(withAxis(), fc.array(fc.nat(3), { minLength: 2, maxLength: 4 })),
      ([[shape, axis], lengths], seed) => {
        const a = (axis + shape.length) % shape.length
        const total = lengths.reduce((m, n) => m + n, 0)
        return {
          about: `concat along ${axis}`,
          operands: lengths.map((length, i) => float(shape.with(a, length), seed + i)),
          run: (...x) => tf.concat(x, axis),
          reference: (...x) =>
            build(shape.with(a, total), (index) => {
              let [part, offset] = [0, index[a]!]
              while (offset >= lengths[part]!) offset -= lengths[part++]!
              return at(x[part]!, index.with(a, offset))
            }),
        }
      },
    ),
  },
  {
    name: 'expandDims',
    kind: 'rearranging',
    trials: trials(
      shapes(0, 5).chain((shape) => fc.tuple(fc.constant(shape), fc.nat(shape.length))),
      ([shape, axis], seed) => ({
        about: list(axis),
        operands: [float(shape, seed)],
        run: (x) => tf.expandDims(x!, axis),
        reference: (x) => ({ shape: shape.toSpliced(axis, 0, 1), data: x!.data }),
      }),
    ),
  },
  {
    name: 'mirrorPad',
    kind: 'rearranging',
    trials: trials(
      fc.tuple(
        shapes(1, 4, 4, 1).chain((shape) =>
          perAxis(shape, (size) => fc.tuple(fc.nat(Math.min(2, size - 1)), fc.nat(Math.min(2, size - 1)))),
        ),
        fc.constantFrom('reflect', 'symmetric'),
      ),
      ([[shape, pads], mode], seed) => ({
        about: `mirrorPad ${mode} by [${pads}]`,
        operands: [float(shape, seed)],
        run: (x) => tf.mirrorPad(x!, pads, mode as 'reflect'),
        reference: (x) =>
          build(
            shape.map((size, axis) => size + pads[axis]![0] + pads[axis]![1]),
            (index) =>
              at(
                x!,
                index.map((i, axis) => {
                  const [inside, last, twice] = [i - pads[axis]![0], shape[axis]! - 1, mode === 'symmetric' ? 1 : 0]
                  if (inside < 0) return -inside - twice
                  return inside > last ? 2 * last - inside + twice : inside
                }),
              ),
          ),
      }),
    ),
  },
  {
    name: 'pad',
    kind: 'rearranging',
    trials: trials(
      shapes(1, 6).chain((shape) => perAxis(shape, () => fc.tuple(fc.nat(2), fc.nat(2)))),
      ([shape, pads], seed) => ({
        about: `pad by [${pads}]`,
        operands: [float(shape, seed)],
        run: (x) => tf.pad(x!, pads, 0.5),
        reference: (x) =>
          build(
            shape.map((size, axis) => size + pads[axis]![0] + pads[axis]![1]),
            (index) =>
              at(
                x!,
                index.map((i, axis) => i - pads[axis]![0]),
                0.5,
              ),
          ),
      }),
    ),
  },
  {
    name: 'reshape',
    kind: 'rearranging',
    trials: trials(shapes(0, 6), (shape, seed) => ({
      about: 'reshape to one axis',
      operands: [float(shape, seed)],
      run: (x) => tf.reshape(x!, [x!.size]),
      reference: (x) => ({ shape: [x!.data.length], data: x!.data }),
    })),
  },
  {
    name: 'reverse',
    kind: 'rearranging',
    trials: trials(
      shapes(1, 6).chain((shape) => fc.tuple(fc.constant(shape), fc.subarray([...shape.keys()]))),
      ([shape, axes], seed) => ({
        about: `reverse [${axes}]`,
        operands: [float(shape, seed)],
        run: (x) => tf.reverse(x!, axes),
        reference: (x) =>
          build(shape, (index) =>
            at(
              x!,
              index.map((i, axis) => (axes.includes(axis) ? shape[axis]! - 1 - i : i)),
            ),
          ),
      }),
    ),
  },
  {
    name: 'slice',
    kind: 'rearranging',
    trials: trials(slices, ([shape, ranges], seed) => ({
      about: `slice [${ranges.map(([begin, size]) => `${begin}+${size}`)}]`,
      operands: [float(shape, seed)],
      run: (x) =>
        tf.slice(
          x!,
          ranges.map(([begin]) => begin),
          ranges.map(([, size]) => size),
        ),
      reference: (x) =>
        build(
          ranges.map(([, size]) => size),
          (index) =>
            at(
              x!,
              index.map((i, axis) => i + ranges[axis]![0]),
            ),
        ),
    })),
  },
  {
    name: 'split',
    kind: 'rearranging',
    trials: trials(
      fc.tuple(withAxis(), fc.array(fc.nat(3), { minLength: 1, maxLength: 4 })),
      ([[drawn, axis], lengths], seed) => {
        const a = (axis + drawn.length) % drawn.length
        const shape = drawn.with(
          a,
          lengths.reduce((m, n) => m + n, 0),
        )
        return {
          about: `split into [${lengths}] along ${axis}`,
          operands: [float(shape, seed)],
          run: (x) => tf.split(x!, lengths, axis),
          reference: (x) =>
            lengths.map((length, part) => {
              const start = lengths.slice(0, part).reduce((m, n) => m + n, 0)
              return build(shape.with(a, length), (index) => at(x!, index.with(a, index[a]! + start)))
            }),
        }
      },
    ),
  },
  {
    name: 'stack',
    kind: 'rearranging',
    trials: trials(
      fc.tuple(
        shapes(0, 4).chain((shape) => fc.tuple(fc.constant(shape), fc.nat(shape.length))),
        fc.integer({ min: 1, max: 4 }),
      ),
      ([[shape, axis], count], seed) => ({
        about: `stack of ${count} along ${axis}`,
        operands: Array.from({ length: count }, (_, i) => float(shape, seed + i)),
        run: (...x) => tf.stack(x, axis),
        reference: (...x) =>
          build(shape.toSpliced(axis, 0, count), (index) => at(x[index[axis]!]!, index.toSpliced(axis, 1))),
      }),
    ),
  },
  {
    name: 'stridedSlice',
    kind: 'rearranging',
    effort: 2,
    trials: trials(strided, ([shape, ranges], seed) => ({
      about: `stridedSlice [${ranges.map(({ begin, end, step }) => `${begin}:${end}:${step}`)}]`,
      operands: [float(shape, seed)],
      run: (x) =>
        tf.stridedSlice(
          x!,
          ranges.map(({ begin }) => begin),
          ranges.map(({ end }) => end),
          ranges.map(({ step }) => step),
        ),
      reference: (x) =>
        build(
          ranges.map(({ begin, end, step }, axis) => Math.ceil(((step < 0 ? end + shape[axis]! : end) - begin) / step)),
          (index) =>
            at(
              x!,
              index.map((i, axis) => ranges[axis]!.begin + i * ranges[axis]!.step),
            ),
        ),
    })),
  },
  {
    name: 'tile',
    kind: 'rearranging',
    trials: trials(
      shapes(1, 5, 3).chain((shape) => perAxis(shape, () => fc.integer({ min: 1, max: 3 }))),
      ([shape, repetitions], seed) => ({
        about: `tile by [${repetitions}]`,
        operands: [float(shape, seed)],
        run: (x) => tf.tile(x!, repetitions),
        reference: (x) =>
          build(
            shape.map((size, axis) => size * repetitions[axis]!),
            (index) =>
              at(
                x!,
                index.map((i, axis) => i % shape[axis]!),
              ),
          ),
      }),
    ),
  },
  {
    name: 'transpose',
    kind: 'rearranging',
    effort: 2,
    trials: trials(
      shapes(1, 6).chain((shape) =>
        fc.tuple(
          fc.constant(shape),
          fc.shuffledSubarray([...shape.keys()], { minLength: shape.length, maxLength: shape.length }),
        ),
      ),
      ([shape, order], seed) => ({
        about: `transpose to [${order}]`,
        operands: [float(shape, seed)],
        run: (x) => tf.transpose(x!, order),
        reference: (x) =>
          build(
            order.map((axis) => shape[axis]!),
            (index) =>
              at(
                x!,
                shape.map((_, axis) => index[order.indexOf(axis)]!),
              ),
          ),
      }),
    ),
  },
  {
    name: 'unstack',
    kind: 'rearranging',
    trials: trials(
      shapes(1, 5, 4, 1).chain((shape) => fc.tuple(fc.constant(shape), axisOf(shape))),
      ([shape, axis], seed) => {
        const a = (axis + shape.length) % shape.length
        return {
          about: `unstack along ${axis}`,
          operands: [float(shape, seed)],
          run: (x) => tf.unstack(x!, axis),
          reference: (x) =>
            Array.from({ length: shape[a]! }, (_, i) =>
              build(shape.toSpliced(a, 1), (index) => at(x!, index.toSpliced(a, 0, i))),
            ),
        }
      },
    ),
  },
]

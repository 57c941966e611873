import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { at, build, type Nd } from '../nd.ts'
import { float, type Operation, trials } from '../operation.ts'

const resizings = fc.record({
  shape: fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 3 }),
  ),
  to: fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 })),
  mode: fc.constantFrom('asymmetric', 'corners', 'half pixels'),
})

/** The position in the input that an output position stands for, in float32 as TensorFlow defines it. */
function position(i: number, from: number, to: number, mode: string, nearest: boolean): number {
  const scale = Math.fround(mode === 'corners' && to > 1 ? (from - 1) / (to - 1) : from / to)
  if (mode !== 'half pixels') return Math.fround(i * scale)
  return nearest ? Math.fround((i + 0.5) * scale) : Math.fround((i + 0.5) * scale) - 0.5
}

/** Between the four pixels around a place, which is held inside the image. */
function interpolate(x: Nd, b: number, place: readonly number[], c: number): number {
  const parts = place.map((p, axis) => {
    const last = x.shape[axis + 1]! - 1
    const inside = Math.min(last, Math.max(0, p))
    const low = Math.floor(inside)
    return [
      [low, 1 - (inside - low)],
      [Math.min(last, low + 1), inside - low],
    ] as const
  })
  let sum = 0
  for (const [row, v] of parts[0]!) for (const [column, w] of parts[1]!) sum += v * w * at(x, [b, row, column, c])
  return sum
}

/** Image resizing; half-pixel centres as in TensorFlow. */
export const resizingOperations: Operation[] = [
  {
    name: 'image.resizeNearestNeighbor',
    kind: 'resizing',
    effort: 2,
    trials: trials(resizings, ({ shape, to, mode }, seed) => ({
      about: `resizeNearestNeighbor to [${to}], ${mode}`,
      operands: [float(shape, seed)],
      run: (x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, to, mode === 'corners', mode === 'half pixels'),
      reference: (x) =>
        build([shape[0], ...to, shape[3]], ([b, y, z, c]) => {
          const pick = (i: number, axis: 0 | 1): number => {
            const at = position(i, shape[axis + 1]!, to[axis], mode, true)
            return Math.min(shape[axis + 1]! - 1, mode === 'corners' ? Math.round(at) : Math.floor(at))
          }
          return at(x!, [b!, pick(y!, 0), pick(z!, 1), c!])
        }),
    })),
  },
  {
    name: 'image.resizeBilinear',
    kind: 'resizing',
    effort: 2,
    trials: trials(resizings, ({ shape, to, mode }, seed) => ({
      about: `resizeBilinear to [${to}], ${mode}`,
      operands: [float(shape, seed)],
      run: (x) => tf.image.resizeBilinear(x as tf.Tensor4D, to, mode === 'corners', mode === 'half pixels'),
      reference: (x) =>
        build([shape[0], ...to, shape[3]], ([b, y, z, c]) => {
          const place = ([y!, z!] as const).map((i, axis) => position(i, shape[axis + 1]!, to[axis]!, mode, false))
          return interpolate(x!, b!, place, c!)
        }),
    })),
  },
  {
    name: 'image.cropAndResize',
    kind: 'resizing',
    trials: trials(resizings, ({ shape, to }, seed) => ({
      about: `cropAndResize to [${to}], the whole image`,
      operands: [float(shape, seed)],
      run: (x) => tf.image.cropAndResize(x as tf.Tensor4D, tf.tensor2d([[0, 0, 1, 1]]), tf.tensor1d([0], 'int32'), to),
      reference: (x) =>
        build([1, ...to, shape[3]], ([, y, z, c]) => {
          const place = (i: number, axis: 0 | 1): number => {
            const last = shape[axis + 1]! - 1
            return to[axis] > 1 ? Math.fround(i * Math.fround(last / (to[axis] - 1))) : last / 2
          }
          return interpolate(x!, 0, [place(y!, 0), place(z!, 1)], c!)
        }),
    })),
  },
  {
    name: 'image.flipLeftRight',
    kind: 'resizing',
    trials: trials(resizings, ({ shape }, seed) => ({
      about: 'flipLeftRight',
      operands: [float(shape, seed)],
      run: (x) => tf.image.flipLeftRight(x as tf.Tensor4D),
      reference: (x) => build(shape, ([b, y, z, c]) => at(x!, [b!, y!, shape[2] - 1 - z!, c!])),
    })),
  },
]

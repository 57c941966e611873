import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { at, build, indices, type Nd } from '../nd.ts'
import { float, type Operation, trials } from '../operation.ts'
import { neverBlind, seen, slide, type Windows, windows } from '../windows.ts'

interface Convolution extends Windows {
  readonly batch: number
  readonly inC: number
  readonly outC: number
}

const channels = fc.integer({ min: 1, max: 5 })

function convolutions(rank: number, options: Parameters<typeof windows>[1] = {}): fc.Arbitrary<Convolution> {
  return fc
    .tuple(windows(rank, options), fc.integer({ min: 1, max: 3 }), channels, channels)
    .map(([w, batch, inC, outC]) => Object.assign(w, { batch, inC, outC }))
}

function about(name: string, { strides, dilations, padding, axes }: Convolution): string {
  return `${name}, windows [${axes.map(({ window }) => window)}], strides [${strides}], dilations [${dilations}], padding ${padding}`
}

const inputShape = ({ batch, axes, inC }: Convolution): number[] => [batch, ...axes.map(({ size }) => size), inC]
const taps = ({ axes }: Convolution): number[] => axes.map(({ window }) => window)

/** Convolution by its definition, any number of axes: x [b, ...sizes, inC], filter [...taps, inC, outC]. */
function convolve(c: Convolution, x: Nd, filter: Nd): Nd {
  const allTaps = indices(taps(c))
  return build([c.batch, ...c.axes.map(({ out }) => out), c.outC], (index) => {
    const o = index.at(-1)!
    let sum = 0
    for (const [t, tap] of allTaps.entries()) {
      const from = placeOf(c, x, index, tap)
      if (from < 0) continue
      for (let i = 0; i < c.inC; i++) sum += x.data[from + i]! * filter.data[(t * c.inC + i) * c.outC + o]!
    }
    return sum
  })
}

/** Where the channels lie that an output's tap sees; -1 for padding. */
function placeOf({ axes }: Convolution, x: Nd, index: readonly number[], tap: readonly number[]): number {
  let place = index[0]!
  for (let i = 0; i < axes.length; i++) {
    const position = seen(axes[i]!, index[i + 1]!, tap[i]!)
    if (position < 0 || position >= axes[i]!.size) return -1
    place = place * axes[i]!.size + position
  }
  return place * x.shape.at(-1)!
}

/** Depthwise convolution: filter [kh, kw, inC, multiplier]. */
function convolveDepthwise(c: Convolution, x: Nd, filter: Nd): Nd {
  const multiplier = c.outC
  const allTaps = indices(taps(c))
  return build([c.batch, ...c.axes.map(({ out }) => out), c.inC * multiplier], (index) => {
    const o = index.at(-1)!
    const i = Math.floor(o / multiplier)
    let sum = 0
    for (const [t, tap] of allTaps.entries()) {
      const from = placeOf(c, x, index, tap)
      if (from >= 0) sum += x.data[from + i]! * filter.data[t * c.inC * multiplier + o]!
    }
    return sum
  })
}

/** The adjoint of `convolve` towards its input: y [b, ...outs, outC], filter [...taps, inC, outC]. */
function convolveTransposed(c: Convolution, y: Nd, filter: Nd): Nd {
  const sums = build(inputShape(c), () => 0)
  const allTaps = indices(taps(c))
  for (const [out, index] of indices([c.batch, ...c.axes.map(({ out }) => out)]).entries()) {
    for (const [t, tap] of allTaps.entries()) {
      const to = placeOf(c, sums, index, tap)
      if (to < 0) continue
      for (let i = 0; i < c.inC; i++)
        for (let o = 0; o < c.outC; o++)
          sums.data[to + i]! += y.data[out * c.outC + o]! * filter.data[(t * c.inC + i) * c.outC + o]!
    }
  }
  return sums
}

const activations: Record<string, (x: number) => number> = {
  linear: (x) => x,
  relu: (x) => Math.max(0, x),
  relu6: (x) => Math.min(6, Math.max(0, x)),
  elu: (x) => (x < 0 ? Math.expm1(x) : x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
}

type Pair = [number, number]
type Triple = [number, number, number]
const pair = (list: readonly number[]): Pair => list as unknown as Pair
const triple = (list: readonly number[]): Triple => list as unknown as Triple

function transposed(name: string, rank: 2 | 3): Operation {
  return {
    name,
    kind: 'convolution',
    effort: 2,
    trials: trials(
      convolutions(rank, { dilated: false, numeric: rank === 2, most: rank === 2 ? 6 : 4 }).filter(
        // The sizes must be those that the forward convolution of this output would give.
        (c) => c.axes.every((axis, i) => slide(axis, c.strides[i]!, 1, c.padding)!.out === axis.out),
      ),
      (c, seed) => ({
        about: about(name, c),
        operands: [
          float([c.batch, ...c.axes.map(({ out }) => out), c.outC], seed),
          float([...taps(c), c.inC, c.outC], seed + 1),
        ],
        run: (y, filter) =>
          rank === 2
            ? tf.conv2dTranspose(
                y as tf.Tensor4D,
                filter as tf.Tensor4D,
                inputShape(c) as [number, number, number, number],
                pair(c.strides),
                c.padding,
              )
            : tf.conv3dTranspose(
                y as tf.Tensor5D,
                filter as tf.Tensor5D,
                inputShape(c) as [number, number, number, number, number],
                triple(c.strides),
                c.padding as 'same',
              ),
        reference: (y, filter) => convolveTransposed(c, y!, filter!),
      }),
    ),
  }
}

/** Convolutions of one, two and three axes. */
export const convolutionOperations: Operation[] = [
  {
    name: 'conv1d',
    kind: 'convolution',
    effort: 2,
    // TensorFlow.js's conv1d would pad across the signal as well, where padding is a number.
    trials: trials(convolutions(1, { numeric: false }), (c, seed) => ({
      about: about('conv1d', c),
      operands: [float(inputShape(c), seed), float([...taps(c), c.inC, c.outC], seed + 1)],
      run: (x, filter) =>
        tf.conv1d(x as tf.Tensor3D, filter as tf.Tensor3D, c.strides[0]!, c.padding, 'NWC', c.dilations[0]!),
      reference: (x, filter) => convolve(c, x!, filter!),
    })),
  },
  {
    name: 'conv2d',
    kind: 'convolution',
    effort: 4,
    trials: trials(convolutions(2), (c, seed) => ({
      about: about('conv2d', c),
      operands: [float(inputShape(c), seed), float([...taps(c), c.inC, c.outC], seed + 1)],
      run: (x, filter) =>
        tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, pair(c.strides), c.padding, 'NHWC', pair(c.dilations)),
      reference: (x, filter) => convolve(c, x!, filter!),
    })),
  },
  {
    name: 'fused.conv2d',
    kind: 'convolution',
    effort: 2,
    trials: trials(
      fc.tuple(convolutions(2, { dilated: false }), fc.constantFrom(...Object.keys(activations)), fc.boolean()),
      ([c, activation, biased], seed) => ({
        about: `${about('fused.conv2d', c)}, ${activation}${biased ? ', bias' : ''}`,
        operands: [
          float(inputShape(c), seed),
          float([...taps(c), c.inC, c.outC], seed + 1),
          ...(biased ? [float([c.outC], seed + 2)] : []),
        ],
        run: (x, filter, bias) =>
          tf.fused.conv2d({
            x: x as tf.Tensor4D,
            filter: filter as tf.Tensor4D,
            strides: pair(c.strides),
            pad: c.padding,
            activation: activation as 'relu',
            ...(bias && { bias }),
          }),
        reference: (x, filter, bias) => {
          const sums = convolve(c, x!, filter!)
          return build(sums.shape, (index) =>
            activations[activation]!(at(sums, index) + (bias ? bias.data[index.at(-1)!]! : 0)),
          )
        },
      }),
    ),
  },
  {
    name: 'depthwiseConv2d',
    kind: 'convolution',
    effort: 3,
    trials: trials(convolutions(2), (c, seed) => ({
      about: about('depthwiseConv2d', c),
      operands: [float(inputShape(c), seed), float([...taps(c), c.inC, c.outC], seed + 1)],
      run: (x, filter) =>
        tf.depthwiseConv2d(
          x as tf.Tensor4D,
          filter as tf.Tensor4D,
          pair(c.strides),
          c.padding,
          'NHWC',
          pair(c.dilations),
        ),
      reference: (x, filter) => convolveDepthwise(c, x!, filter!),
    })),
  },
  {
    name: 'separableConv2d',
    kind: 'convolution',
    trials: trials(fc.tuple(convolutions(2, { dilated: false }), channels), ([c, outC], seed) => {
      const multiplier = Math.min(2, c.outC)
      const depthwise = { ...c, outC: multiplier }
      return {
        about: about('separableConv2d', c),
        operands: [
          float(inputShape(c), seed),
          float([...taps(c), c.inC, multiplier], seed + 1),
          float([1, 1, c.inC * multiplier, outC], seed + 2),
        ],
        run: (x, filter, pointwise) =>
          tf.separableConv2d(
            x as tf.Tensor4D,
            filter as tf.Tensor4D,
            pointwise as tf.Tensor4D,
            pair(c.strides),
            c.padding as 'same',
          ),
        reference: (x, filter, pointwise) => {
          const middle = convolveDepthwise(depthwise, x!, filter!)
          return build([...middle.shape.slice(0, -1), outC], (index) => {
            let sum = 0
            for (let i = 0; i < c.inC * multiplier; i++)
              sum += at(middle, [...index.slice(0, -1), i]) * at(pointwise!, [0, 0, i, index.at(-1)!])
            return sum
          })
        },
      }
    }),
  },
  {
    name: 'conv3d',
    kind: 'convolution',
    effort: 2,
    trials: trials(convolutions(3, { numeric: false, dilated: false, most: 4 }), (c, seed) => ({
      about: about('conv3d', c),
      operands: [float(inputShape(c), seed), float([...taps(c), c.inC, c.outC], seed + 1)],
      run: (x, filter) => tf.conv3d(x as tf.Tensor5D, filter as tf.Tensor5D, triple(c.strides), c.padding as 'same'),
      reference: (x, filter) => convolve(c, x!, filter!),
    })),
  },
  transposed('conv2dTranspose', 2),
  transposed('conv3dTranspose', 3),
  {
    name: 'dilation2d',
    kind: 'convolution',
    trials: trials(
      convolutions(2, { numeric: false }).filter(({ axes }) => axes.every(neverBlind)),
      (c, seed) => ({
        about: about('dilation2d', c),
        operands: [float(inputShape(c), seed), float([...taps(c), c.inC], seed + 1)],
        run: (x, filter) =>
          tf.dilation2d(
            x as tf.Tensor4D,
            filter as tf.Tensor3D,
            pair(c.strides),
            c.padding as 'same',
            pair(c.dilations),
          ),
        reference: (x, filter) =>
          build([c.batch, ...c.axes.map(({ out }) => out), c.inC], ([b, y, z, i]) =>
            Math.max(
              ...indices(taps(c)).map((tap) => {
                const from = [seen(c.axes[0]!, y!, tap[0]!), seen(c.axes[1]!, z!, tap[1]!)]
                return at(x!, [b!, ...from, i!], -Infinity) + at(filter!, [...tap, i!])
              }),
            ),
          ),
      }),
    ),
  },
]

// Random convolutions for the tests, and their gradients in float64.
import type * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'

type ExplicitPadding = tf.backend_util.ExplicitPadding

export interface Convolution {
  readonly batch: number
  readonly height: number
  readonly width: number
  readonly inC: number
  readonly outC: number
  readonly kh: number
  readonly kw: number
  readonly stride: number
  readonly dilation: number
  readonly pad: 'same' | 'valid' | ExplicitPadding
}

const small = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })

/** Convolutions with at least one output pixel; strides and dilations are not combined, as tfjs demands. */
export const convolutions: fc.Arbitrary<Convolution> = fc
  .record({
    batch: small(1, 3),
    height: small(3, 9),
    width: small(3, 9),
    inC: small(1, 5),
    outC: small(1, 6),
    kh: small(1, 3),
    kw: small(1, 3),
    stride: small(1, 3),
    dilation: small(1, 2),
    // Not as one number: tfjs then takes the filter for square, and its wasm kernels write outside their tensors.
    pad: fc.oneof(
      fc.constantFrom('same' as const, 'valid' as const),
      fc
        .tuple(small(0, 2), small(0, 2), small(0, 2), small(0, 2))
        .map(([top, bottom, left, right]): ExplicitPadding => [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ]),
    ),
  })
  .filter(({ stride, dilation }) => stride === 1 || dilation === 1)
  .filter(({ height, width, kh, kw, dilation }) => (kh - 1) * dilation < height && (kw - 1) * dilation < width)

/** Gradients by the definition; `outShape` is [b, outH, outW, channels], depthwise when `multiplier` is given. */
export function convolutionGradients(
  { batch, height, width, inC, outC, kh, kw, stride, dilation, pad }: Convolution,
  x: ArrayLike<number>,
  filter: ArrayLike<number>,
  dy: ArrayLike<number>,
  [, outH, outW]: number[],
  multiplier?: number,
): { dx: number[]; dFilter: number[] } {
  const before = (axis: 1 | 2, size: number, out: number, k: number): number =>
    pad === 'same'
      ? Math.floor(Math.max(0, (out - 1) * stride + (k - 1) * dilation + 1 - size) / 2)
      : pad === 'valid'
        ? 0
        : pad[axis][0]
  const [top, left] = [before(1, height, outH!, kh), before(2, width, outW!, kw)]
  const dx = Array.from<number>({ length: x.length }).fill(0)
  const dFilter = Array.from<number>({ length: filter.length }).fill(0)
  const channels = multiplier === undefined ? outC : inC * multiplier
  for (let b = 0; b < batch; b++)
    for (let oy = 0; oy < outH!; oy++)
      for (let ox = 0; ox < outW!; ox++)
        for (let ky = 0; ky < kh; ky++)
          for (let kx = 0; kx < kw; kx++) {
            const [y, z] = [oy * stride - top + ky * dilation, ox * stride - left + kx * dilation]
            if (y < 0 || y >= height || z < 0 || z >= width) continue
            for (let i = 0; i < inC; i++)
              for (let o = 0; o < (multiplier ?? outC); o++) {
                const at = ((b * height + y) * width + z) * inC + i
                const tap = ((ky * kw + kx) * inC + i) * (multiplier ?? outC) + o
                const channel = multiplier === undefined ? o : i * multiplier + o
                const gradient = dy[((b * outH! + oy) * outW! + ox) * channels + channel]!
                dx[at]! += gradient * filter[tap]!
                dFilter[tap]! += gradient * x[at]!
              }
          }
  return { dx, dFilter }
}

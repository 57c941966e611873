import fc from 'fast-check'

/** How windows slide along one axis. */
export interface AxisWindow {
  readonly size: number
  readonly window: number
  readonly stride: number
  readonly dilation: number
  readonly before: number
  readonly out: number
}

/** Padding as TensorFlow.js names it. */
export type Padding = 'same' | 'valid' | number

/** Sizes along one axis; `dilation` only where `stride` is 1, as TensorFlow.js demands. */
interface AxisSizes {
  readonly size: number
  readonly window: number
}

/** Sizes of an axis that a window fits into. */
function axisSizes(most = 6, widest = 3): fc.Arbitrary<AxisSizes> {
  return fc.record({ size: fc.integer({ min: 1, max: most }), window: fc.integer({ min: 1, max: widest }) })
}

/** Where the windows of an axis lie, from the definition of the paddings; `null` where none fits. */
export function slide(
  { size, window }: AxisSizes,
  stride: number,
  dilation: number,
  padding: Padding,
): AxisWindow | null {
  const reach = (window - 1) * dilation + 1
  if (padding === 'same') {
    const out = Math.ceil(size / stride)
    const missing = Math.max(0, (out - 1) * stride + reach - size)
    return { size, window, stride, dilation, before: Math.floor(missing / 2), out }
  }
  const before = padding === 'valid' ? 0 : padding
  const out = Math.floor((size + 2 * before - reach) / stride) + 1
  return out < 1 ? null : { size, window, stride, dilation, before, out }
}

/** The input position that a window's tap sees. */
export function seen({ stride, dilation, before }: AxisWindow, out: number, tap: number): number {
  return out * stride + tap * dilation - before
}

/** Whether no window of an axis lies in the padding altogether. */
export function neverBlind(axis: AxisWindow): boolean {
  return Array.from({ length: axis.out }, (_, out) => out).every((out) =>
    Array.from({ length: axis.window }, (_, tap) => seen(axis, out, tap)).some((i) => i >= 0 && i < axis.size),
  )
}

/** Windows over `rank` axes with one stride, dilation and padding each. */
export interface Windows {
  readonly axes: readonly AxisWindow[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly padding: Padding
}

/** Odd sizes, strides, dilations and all paddings. */
export function windows(
  rank: number,
  {
    dilated = true,
    numeric = true,
    paddings = ['same', 'valid', ...(numeric ? [0, 1] : [])],
    most = 6,
  }: {
    readonly dilated?: boolean
    readonly numeric?: boolean
    readonly paddings?: readonly Padding[]
    readonly most?: number
  } = {},
): fc.Arbitrary<Windows> {
  const list = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { minLength: rank, maxLength: rank })
  return fc
    .tuple(
      list(axisSizes(most)),
      list(fc.integer({ min: 1, max: 3 })),
      list(fc.integer({ min: 1, max: 2 })),
      fc.constantFrom(...paddings),
      fc.integer({ min: 0, max: 2 }),
    )
    .map(([sizes, drawnStrides, drawnDilations, padding, kind]) => {
      const strides = kind === 1 && dilated ? drawnStrides.map(() => 1) : drawnStrides
      const dilations = kind === 1 && dilated ? drawnDilations : drawnDilations.map(() => 1)
      const axes = sizes.map((axis, i) => slide(axis, strides[i]!, dilations[i]!, padding))
      return { axes: axes as AxisWindow[], strides, dilations, padding }
    })
    .filter(({ axes }) => axes.every((axis) => axis !== null))
}

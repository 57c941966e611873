import { readFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'

/** One case computed in double precision from the formulas in its `params`. */
export interface GoldenRecord {
  readonly id: string
  readonly kind: string
  readonly params: Readonly<Record<string, unknown>>
  readonly inputs?: Readonly<Record<string, SineFill>>
  /** numbers, nested lists of them, or named lists of those */
  readonly expected: Readonly<Record<string, unknown>>
  /** absolute, for a computation in double precision */
  readonly tol: number
  readonly note?: string
}

/** One run of a diffusers scheduler in float32 over `schedulerModel`, as the format in diffusion.json says. */
export interface SchedulerRecord {
  readonly id: string
  readonly kind: 'diffusers-scheduler'
  readonly scheduler: string
  readonly case: string
  /** `plain`: nothing is scaled; `correct`: the model sees the scaled sample; `quirk`: so does the step, wrongly */
  readonly usage: 'plain' | 'quirk' | 'correct'
  /** false: the value is not among those that diffusers' own tests assert */
  readonly upstreamTest: boolean
  readonly noise: 'none' | 'detnoise' | 'torchSeed0'
  readonly portable: boolean
  readonly config: Readonly<Record<string, unknown>>
  readonly stepOptions?: Readonly<Record<string, unknown>>
  readonly set_timesteps?: Readonly<Record<string, unknown>>
  readonly loop?: string
  readonly n?: number
  readonly t_start?: number
  readonly init_noise_sigma?: number
  /** of |x| at the end */
  readonly sum: number
  readonly mean: number
  /** of x at the end, in NCHW order */
  readonly first6: readonly number[]
  /** sum of |x| after every step */
  readonly trace: readonly number[]
  readonly timesteps?: readonly number[]
  readonly sigmas?: readonly number[]
}

/** The tensor whose flat row-major element i is `amp * sin(step * i + phase)`. */
export interface SineFill {
  readonly fill: 'sin'
  readonly shape: readonly number[]
  readonly step: number
  readonly phase: number
  readonly amp: number
}

const file = new URL('./diffusion.json', import.meta.url)
const { records } = JSON.parse(readFileSync(file, 'utf8')) as { records: (GoldenRecord | SchedulerRecord)[] }

/** The recorded cases of one kind; a kind without any is a mistake. */
export function goldenRecords(kind: string): GoldenRecord[] {
  const found = records.filter((entry): entry is GoldenRecord => entry.kind === kind && 'params' in entry)
  if (found.length === 0) throw new RangeError(`kind: no golden record of kind "${kind}"`)
  return found
}

/** One recorded case. */
export function goldenRecord(id: string): GoldenRecord {
  const found = records.find((entry): entry is GoldenRecord => entry.id === id && 'params' in entry)
  if (!found) throw new RangeError(`id: no golden record "${id}"`)
  return found
}

/** The recorded runs of one diffusers scheduler; without a name, of all. */
export function schedulerRecords(scheduler?: string): SchedulerRecord[] {
  const found = records.filter(
    (entry): entry is SchedulerRecord => 'scheduler' in entry && (scheduler ?? entry.scheduler) === entry.scheduler,
  )
  if (found.length === 0) throw new RangeError(`scheduler: no golden record of "${scheduler}"`)
  return found
}

/** The numbers of a value in `expected`, nested lists flattened. */
export function numbersOf(value: unknown): number[] {
  if (typeof value === 'number') return [value]
  if (Array.isArray(value)) return value.flatMap(numbersOf)
  throw new TypeError(`value: expected numbers or lists of them, got ${JSON.stringify(value)}`)
}

/** What a fill stands for, in double precision. */
export function sineValues({ shape, step, phase, amp }: Omit<SineFill, 'fill'>): Float64Array {
  return Float64Array.from({ length: tf.util.sizeFromShape([...shape]) }, (_, i) => amp * Math.sin(step * i + phase))
}

/** What a fill stands for, on the current backend; the caller disposes it. */
export function sineTensor<R extends tf.Rank = tf.Rank>(fill: Omit<SineFill, 'fill'>): tf.Tensor<R> {
  return tf.tensor(Float32Array.from(sineValues(fill)), [...fill.shape] as tf.ShapeMap[R])
}

/**
 * The k-th draw of the recorded noise, `sqrt(2) sin(0.7 + 1.3 k + 0.37 i)` over the flat index i, in double precision.
 *
 * For images that index is NCHW: see `nhwc`.
 */
export function noiseValues(k: number, size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, i) => Math.SQRT2 * Math.sin(0.7 + 1.3 * k + 0.37 * i))
}

/** Numbers in NCHW order, brought into NHWC order. */
export function nhwc(values: ArrayLike<number>, [b, c, h, w]: readonly [number, number, number, number]): Float64Array {
  const out = new Float64Array(b * c * h * w)
  for (let n = 0, i = 0; n < b; n++)
    for (let k = 0; k < c; k++)
      for (let y = 0; y < h; y++) for (let x = 0; x < w; x++, i++) out[((n * h + y) * w + x) * c + k] = values[i]!
  return out
}

/** Numbers in NHWC order, brought into NCHW order. */
export function nchw(values: ArrayLike<number>, [b, h, w, c]: readonly [number, number, number, number]): Float64Array {
  const out = new Float64Array(b * c * h * w)
  for (let n = 0, i = 0; n < b; n++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) for (let k = 0; k < c; k++, i++) out[((n * c + k) * h + y) * w + x] = values[i]!
  return out
}

/** NCHW, as in diffusers' tests. */
const sampleShape = [4, 3, 8, 8] as const
const sampleSize = 768

/** The sample that runs of schedulers begin with, unscaled, NHWC `[4, 8, 8, 3]`; the caller disposes it. */
export function schedulerSample(): tf.Tensor4D {
  const [b, c, h, w] = sampleShape
  // Element [b, c, h, w] is (((c * 8 + h) * 8 + w) * 4 + b) / 768.
  return schedulerTensor(
    Float64Array.from({ length: sampleSize }, (_, i) => {
      const n = Math.floor(i / (c * h * w))
      return ((i % (c * h * w)) * b + n) / sampleSize
    }),
  )
}

/** The noise that is added where a run starts late, NHWC `[4, 8, 8, 3]`; the caller disposes it. */
export function schedulerNoise(): tf.Tensor4D {
  return tf.tidy(() => tf.sub((sampleSize - 1) / sampleSize, schedulerSample()))
}

/** The k-th draw of recorded noise, NHWC `[4, 8, 8, 3]`; the caller disposes it. */
export function schedulerDraw(k: number): tf.Tensor4D {
  return schedulerTensor(noiseValues(k, sampleSize))
}

/** The model of diffusers' tests, `x t / (t + 1)`. */
export function schedulerModel(x: tf.Tensor, timestep: number): tf.Tensor {
  return tf.mul(x, timestep / (timestep + 1))
}

function schedulerTensor(values: Float64Array): tf.Tensor4D {
  const [b, c, h, w] = sampleShape
  return tf.tensor4d(Float32Array.from(nhwc(values, sampleShape)), [b, h, w, c])
}

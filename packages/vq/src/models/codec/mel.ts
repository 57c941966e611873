import { checkOptions, integer, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'

export interface MelOptions {
  /** M, how many filters */
  readonly filters: number
  /** F, how many frequencies a spectrum has, from 0 to half the sample rate */
  readonly bins: number
  /** in Hz */
  readonly sampleRate: number
  /** where the first filter begins, in Hz; default 0 */
  readonly low?: number
  /** where the last filter ends, in Hz; default: half the sample rate */
  readonly high?: number
  /**
   * `htk`: 2595 log10(1 + f / 700); `slaney`: linear up to 1000 Hz, logarithmic above; default `htk`
   */
  readonly scale?: MelScale
  /** whether each filter has area 1 over the frequencies in Hz, instead of height 1; default false */
  readonly normalised?: boolean
}

export type MelScale = 'htk' | 'slaney'

const schema = v.object({
  filters: integer(1),
  bins: integer(2),
  sampleRate: numberFrom(1),
  low: v.optional(numberFrom(0), 0),
  high: v.optional(numberFrom(0)),
  scale: v.optional(v.picklist(['htk', 'slaney']), 'htk'),
  normalised: v.optional(v.boolean(), false),
})

/**
 * Triangular filters, evenly spaced on a mel scale, each from its left neighbour's middle to its right one's.
 *
 * A filter narrower than the distance between two frequencies may be 0 everywhere.
 * @returns the weights, row-major [F, M]
 * @throws RangeError or TypeError naming the option that is wrong
 */
export function melFilters(options: MelOptions): Float32Array {
  const { filters, bins, sampleRate, low, high = sampleRate / 2, scale, normalised } = checkOptions(schema, options)
  if (!(high > low && high <= sampleRate / 2))
    throw new RangeError(`high: expected above ${low} and at most ${sampleRate / 2}, half the sample rate, got ${high}`)
  const { toMel, toHertz } = scales[scale]
  const [first, last] = [toMel(low), toMel(high)]
  const edge = (i: number): number => toHertz(first + ((last - first) * i) / (filters + 1))
  const weights = new Float32Array(bins * filters)
  for (let m = 0; m < filters; m++) {
    const [from, middle, to] = [edge(m), edge(m + 1), edge(m + 2)]
    const height = normalised ? 2 / (to - from) : 1
    for (let k = 0; k < bins; k++) {
      const hertz = (k * sampleRate) / (2 * (bins - 1))
      const share = Math.min((hertz - from) / (middle - from), (to - hertz) / (to - middle))
      weights[k * filters + m] = height * Math.max(0, share)
    }
  }
  return weights
}

interface Scale {
  toMel(hertz: number): number
  toHertz(mel: number): number
}

/** Slaney's scale has 15 mels up to 1000 Hz, and 27 for each factor of 6.4 above. */
const [knee, kneeMel, perMel] = [1000, 15, Math.log(6.4) / 27]

const scales: Record<MelScale, Scale> = {
  htk: {
    toMel: (hertz) => 2595 * Math.log10(1 + hertz / 700),
    toHertz: (mel) => 700 * (10 ** (mel / 2595) - 1),
  },
  slaney: {
    toMel: (hertz) => (hertz < knee ? (hertz * kneeMel) / knee : kneeMel + Math.log(hertz / knee) / perMel),
    toHertz: (mel) => (mel < kneeMel ? (mel * knee) / kneeMel : knee * Math.exp((mel - kneeMel) * perMel)),
  },
}

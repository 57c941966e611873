import { describeValue } from '@x/core-gpu'
import type { LogSnr } from '../noise-level.ts'
import { requirePositive } from '../schedules/log-snr-range.ts'

/** How much the squared error of the predicted noise counts at a level. */
export type LossWeight = (logSnr: LogSnr) => number

/** What an error is measured on. */
export type ErrorMeasure = 'eps' | 'x0' | 'v' | 'u'

/**
 * The same weight as a factor of another squared error, as `|deps|^2 = snr |dx0|^2 = sigmoid(logSnr) |dv|^2`.
 * @throws RangeError for a measure not listed
 */
export function weightOn(weight: LossWeight, measure: ErrorMeasure): LossWeight {
  const factor = noiseErrorPer(measure)
  return (logSnr) => weight(logSnr) * factor(logSnr)
}

/**
 * All levels alike, for the error measured so. On eps it is DDPM's simple loss (arXiv 2006.11239), on u that of flow matching.
 * @throws RangeError for a measure not listed
 */
export function uniformWeight(measure: ErrorMeasure = 'eps'): LossWeight {
  const factor = noiseErrorPer(measure)
  return (logSnr) => 1 / factor(logSnr)
}

/**
 * The error of x0 by its SNR, but not more than gamma: `min(snr, gamma) / snr` on eps. arXiv 2303.09556
 * @param gamma default 5
 * @throws RangeError unless gamma > 0
 */
export function minSnrWeight(gamma = 5): LossWeight {
  requirePositive('gamma', gamma)
  return (logSnr) => Math.min(1, gamma * Math.exp(-logSnr))
}

/**
 * A sigmoid of the level, `sigmoid(bias - logSnr)` on eps: what lies far above the bias counts little. arXiv 2303.00848, 2410.19324
 * @param bias default -3; nearer 0 for smaller images
 * @throws RangeError for a bias that is no finite number
 */
export function sigmoidWeight(bias = -3): LossWeight {
  if (!Number.isFinite(bias)) throw new RangeError(`bias: expected a finite number, got ${describeValue(bias)}`)
  return (logSnr) => 1 / (1 + Math.exp(logSnr - bias))
}

/**
 * EDM's: the network's own error counts alike at all levels under its preconditioning, `1 + sigma^2 / sigmaData^2` on eps. arXiv 2206.00364
 * @param sigmaData default 0.5
 * @throws RangeError unless sigmaData > 0
 */
export function edmWeight(sigmaData = 0.5): LossWeight {
  requirePositive('sigmaData', sigmaData)
  return (logSnr) => 1 + Math.exp(-logSnr) / sigmaData ** 2
}

export interface P2WeightOptions {
  /** default 1 */
  readonly k?: number
  /** default 1; 0 is uniform */
  readonly gamma?: number
}

/**
 * Less for levels at which only detail is left to see: `1 / (k + snr)^gamma` on eps. arXiv 2204.00227
 * @throws RangeError unless k > 0 and gamma >= 0
 */
export function p2Weight(options: P2WeightOptions = {}): LossWeight {
  const { k = 1, gamma = 1 } = options
  requirePositive('k', k)
  if (!(gamma >= 0)) throw new RangeError(`gamma: expected a number >= 0, got ${describeValue(gamma)}`)
  return (logSnr) => (k + Math.exp(logSnr)) ** -gamma
}

/** The squared error of eps for one of another measure. */
function noiseErrorPer(measure: ErrorMeasure): (logSnr: LogSnr) => number {
  switch (measure) {
    case 'eps':
      return () => 1
    case 'x0':
      return (logSnr) => Math.exp(logSnr)
    case 'v':
      return (logSnr) => 1 / (1 + Math.exp(-logSnr))
    case 'u':
      return (logSnr) => (1 + Math.exp(-logSnr / 2)) ** -2
    default:
      throw new RangeError(`measure: expected "eps", "x0", "v" or "u", got ${describeValue(measure)}`)
  }
}

import { describeValue } from '@x/core-gpu'
import { alphaOf, type LogSnr, sigmaOf } from '../noise-level.ts'
import { requirePositive } from '../schedules/log-snr-range.ts'
import { conversion, type Prediction } from './convert-prediction.ts'

/**
 * The convention a network was trained in, as numbers of the level: what it is given, and what its output F stands for,
 * `x0 = skip x + out F` with x variance preserving.
 */
export interface Parameterisation {
  /** times x: what the network sees */
  readonly inputScale: (logSnr: LogSnr) => number
  /** what the network is told of the level */
  readonly time: (logSnr: LogSnr) => number
  readonly skip: (logSnr: LogSnr) => number
  readonly out: (logSnr: LogSnr) => number
}

export interface VpParameterisationOptions {
  readonly prediction: Prediction
  /**
   * What the network is told of the level: a schedule's `timeOf`, a discrete model's `timestepOf`; default logSNR itself
   */
  readonly time?: (logSnr: LogSnr) => number
}

/**
 * A network that sees x as it is and predicts `'eps'` (arXiv 2006.11239), `'x0'`, `'v'` (arXiv 2202.00512), `'u'` or `'score'`.
 * @throws RangeError for another prediction
 */
export function vpParameterisation(options: VpParameterisationOptions): Parameterisation {
  const { prediction, time = (logSnr) => logSnr } = options
  // Names it if it is not listed.
  conversion(0, prediction, 'eps')
  if (typeof time !== 'function') throw new TypeError(`time: expected a function, got ${describeValue(time)}`)
  return { inputScale: () => 1, time, ...factorsOf(prediction) }
}

export interface FlowParameterisationOptions {
  /** times s, which is what the network is told: 1000 for networks with embeddings of timesteps; default 1 */
  readonly timeScale?: number
  /** which way time runs: `'noise'`, s is 1 at noise and u = eps - x0; `'data'`, both are turned round; default `'noise'` */
  readonly towards?: 'noise' | 'data'
}

/**
 * A network of flow matching: sees `(1 - s) x0 + s eps`, is told s, and predicts the velocity. arXiv 2209.03003, 2210.02747
 * @throws RangeError for a timeScale that is not > 0, or another direction
 */
export function flowParameterisation(options: FlowParameterisationOptions = {}): Parameterisation {
  const { timeScale = 1, towards = 'noise' } = options
  requirePositive('timeScale', timeScale)
  if (towards !== 'noise' && towards !== 'data')
    throw new RangeError(`towards: expected "noise" or "data", got ${describeValue(towards)}`)
  const sign = towards === 'noise' ? 1 : -1
  const { skip, out } = factorsOf('u')
  return {
    inputScale: (logSnr) => 1 / (alphaOf(logSnr) + sigmaOf(logSnr)),
    // s = sigma / (alpha + sigma), and from data 1 - s
    time: (logSnr) => timeScale / (1 + Math.exp((sign * logSnr) / 2)),
    skip,
    out: (logSnr) => sign * out(logSnr),
  }
}

export interface EdmParameterisationOptions {
  /** standard deviation of the data; default 0.5 */
  readonly sigmaData?: number
}

/**
 * EDM's preconditioning: input and target of the network have variance 1 at every level, and it is told ln(sigma) / 4. arXiv 2206.00364
 * @throws RangeError unless sigmaData > 0
 */
export function edmParameterisation(options: EdmParameterisationOptions = {}): Parameterisation {
  const { sigmaData = 0.5 } = options
  requirePositive('sigmaData', sigmaData)
  // EDM's x is x / alpha: its factors, with alpha brought inside so that they hold at noise alone.
  const deviation = (logSnr: LogSnr): number => Math.hypot(sigmaOf(logSnr), alphaOf(logSnr) * sigmaData)
  return {
    inputScale: (logSnr) => 1 / deviation(logSnr),
    time: (logSnr) => -logSnr / 8,
    skip: (logSnr) => (sigmaData ** 2 * alphaOf(logSnr)) / deviation(logSnr) ** 2,
    out: (logSnr) => (sigmaOf(logSnr) * sigmaData) / deviation(logSnr),
  }
}

export interface ConsistencyParameterisationOptions {
  /** standard deviation of the data; default 0.5 */
  readonly sigmaData?: number
  /** EDM's sigma at which the network's output no longer counts; default 0.002 */
  readonly sigmaMin?: number
}

/**
 * A consistency model's: as EDM's, but the identity at sigmaMin, and the network is told 250 ln sigma. arXiv 2303.01469
 * @throws RangeError unless sigmaData and sigmaMin are > 0
 */
export function consistencyParameterisation(options: ConsistencyParameterisationOptions = {}): Parameterisation {
  const { sigmaData = 0.5, sigmaMin = 0.002 } = options
  requirePositive('sigmaMin', sigmaMin)
  const { inputScale } = edmParameterisation({ sigmaData })
  // sigma - sigmaMin in EDM's coordinates, times alpha; below sigmaMin the network does not count either.
  const above = (logSnr: LogSnr): number => Math.max(0, sigmaOf(logSnr) - alphaOf(logSnr) * sigmaMin)
  return {
    inputScale,
    time: (logSnr) => -125 * logSnr,
    skip: (logSnr) => (sigmaData ** 2 * alphaOf(logSnr)) / (above(logSnr) ** 2 + (sigmaData * alphaOf(logSnr)) ** 2),
    out: (logSnr) => sigmaData * above(logSnr) * inputScale(logSnr),
  }
}

function factorsOf(prediction: Prediction): Pick<Parameterisation, 'skip' | 'out'> {
  if (prediction === 'x0') return { skip: () => 0, out: () => 1 }
  return {
    skip: (logSnr) => conversion(logSnr, prediction, 'x0')[0],
    out: (logSnr) => conversion(logSnr, prediction, 'x0')[1],
  }
}

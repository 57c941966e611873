import type { LogSnr } from '../noise-level.ts'

/** How strong a guidance is: a number, or one for each level. */
export type GuidanceWeight = number | ((logSnr: LogSnr) => number)

/** @throws RangeError for a number that is not finite, TypeError for what is neither number nor function */
export function requireWeight(weight: GuidanceWeight): void {
  if (typeof weight === 'function') return
  if (typeof weight !== 'number')
    throw new TypeError(`weight: expected a number or a function of logSNR, got ${String(weight)}`)
  if (!Number.isFinite(weight)) throw new RangeError(`weight: expected a finite number, got ${weight}`)
}

/** @throws RangeError when a weight's function gives what is no finite number */
export function weightAt(weight: GuidanceWeight, logSnr: LogSnr): number {
  if (typeof weight === 'number') return weight
  const value = weight(logSnr)
  if (!Number.isFinite(value))
    throw new RangeError(`weight: expected a finite number at logSNR ${logSnr}, got ${String(value)}`)
  return value
}

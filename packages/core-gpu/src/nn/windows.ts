import { describeValue, requireInteger } from '../validation/validation.ts'

/** One number for both image axes, or [height, width]. */
export type Pair = number | readonly [number, number]

/**
 * Reads an option that is given per image axis.
 * @throws RangeError when a part is no whole number of at least `least`
 */
export function pairOf(name: string, value: Pair, least: number): [number, number] {
  const pair: readonly number[] = typeof value === 'number' ? [value, value] : value
  if (!Array.isArray(pair) || pair.length !== 2)
    throw new RangeError(`${name}: expected a number or [height, width], got ${describeValue(value)}`)
  for (const part of pair) requireInteger(name, part, least)
  return [pair[0]!, pair[1]!]
}

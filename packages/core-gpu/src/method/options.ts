import * as v from 'valibot'
import type { Key } from '../random/key.ts'

/** A whole number of at least `least`. */
export function integer(least: number): v.GenericSchema<number> {
  return v.pipe(v.number(), v.integer('a whole number'), v.minValue(least))
}

/** A number from `least` to `most`. */
export function numberFrom(least: number, most: number = Infinity): v.GenericSchema<number> {
  return v.pipe(v.number(), v.minValue(least), v.maxValue(most))
}

/** A number strictly between `low` and `high`. */
export function numberBetween(low: number, high: number): v.GenericSchema<number> {
  return v.pipe(v.number(), v.gtValue(low), v.ltValue(high))
}

/** A random key. */
export function keyOption(): v.GenericSchema<Key> {
  return v.custom<Key>(
    (value) => typeof (value as Partial<Key> | null)?.split === 'function',
    'a key, made by key(seed)',
  )
}

/** A list of at least one whole number, each at least `least`. */
export function integers(least: number): v.GenericSchema<readonly number[]> {
  return v.pipe(v.array(integer(least)), v.minLength(1))
}

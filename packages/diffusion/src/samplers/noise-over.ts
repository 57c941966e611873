import type * as tf from '@tensorflow/tfjs-core'
import * as v from 'valibot'
import type { LogSnr } from '../noise-level.ts'
import type { Sampling } from './stepwise.ts'

/**
 * Where the noise of a step comes from: `white`, drawn afresh for every step; `brownian`, what each sample's own Brownian
 * motion does over the step, so that a finer grid leads to nearly the same sample, for some 40 draws in place of one.
 */
export type StepNoise = 'white' | 'brownian'

/** The option `noise`. */
export function stepNoiseOption(): v.OptionalSchema<v.PicklistSchema<['white', 'brownian'], undefined>, 'white'> {
  return v.optional(v.picklist(['white', 'brownian']), 'white')
}

/**
 * Standard normal noise for the way between two levels.
 * @param draw which of several within a step
 */
export type NoiseOver = (step: number, from: LogSnr, to: LogSnr, draw?: number) => tf.Tensor

/** Finds the noise of steps as asked for. */
export function noiseOver({ noise, brownian }: Sampling, kind: StepNoise): NoiseOver {
  return kind === 'white' ? (step, _from, _to, draw) => noise(step, draw) : (_step, from, to) => brownian(from, to)
}

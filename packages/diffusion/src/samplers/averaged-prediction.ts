import type * as tf from '@tensorflow/tfjs-core'
import * as v from 'valibot'
import type { LogSnr } from '../noise-level.ts'
import { convertPrediction, type Prediction } from '../predictions/convert-prediction.ts'
import type { Sampling } from './stepwise.ts'

export interface AveragedOptions {
  /**
   * the prediction that is averaged over calls, and only then turned into the noise that a step follows; `'eps'` in the
   * paper, in diffusers the one that the network was trained for; default `'eps'`
   */
  readonly averaged?: Prediction
}

export const averagedOption: v.OptionalSchema<v.GenericSchema<Prediction>, 'eps'> = /* @__PURE__ */ v.optional(
  /* @__PURE__ */ v.picklist(['x0', 'eps', 'v', 'u', 'score']),
  'eps',
)

/** Calls a denoiser for a prediction of the kind that is averaged. */
export function outputOf(
  denoise: Sampling['denoise'],
  averaged: Prediction,
): (x: tf.Tensor, level: LogSnr) => { readonly output: tf.Tensor; readonly denoised: tf.Tensor } {
  return (x, level) => {
    const denoised = denoise(x, level)
    return { output: convertPrediction(denoised, x, level, { from: 'x0', to: averaged }), denoised }
  }
}

/** The noise in x, by an average of such predictions. */
export function noiseOf(output: tf.Tensor, x: tf.Tensor, level: LogSnr, averaged: Prediction): tf.Tensor {
  return convertPrediction(output, x, level, { from: averaged, to: 'eps' })
}

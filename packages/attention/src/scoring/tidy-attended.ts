import * as tf from '@tensorflow/tfjs-core'
import type { Attended } from '@x/core-gpu'

/** `tf.tidy` for attention's two results. */
export function tidyAttended(attend: () => Attended): Attended {
  return tf.tidy(() => ({ ...attend() })) as unknown as Attended
}

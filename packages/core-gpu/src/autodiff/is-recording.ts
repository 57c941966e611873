import * as tf from '@tensorflow/tfjs-core'

/** Whether operations are being recorded, so that what they give can be differentiated (again). */
export function isRecording(): boolean {
  const { gradientDepth, kernelDepth } = tf.engine().state
  return gradientDepth > 0 && kernelDepth === 0
}

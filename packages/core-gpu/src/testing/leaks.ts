import * as tf from '@tensorflow/tfjs-core'

/**
 * Counts the tensors that a call leaves behind.
 *
 * Runs it twice and counts the second time, so that what is made once and kept does not count. Tensors in what the call
 * returns are disposed.
 * @returns tensors, or buffers if more of them stay; 0 for a call that cleans up
 */
export async function countLeaks(run: () => unknown): Promise<number> {
  tf.dispose((await run()) as tf.TensorContainer)
  const before = tf.memory()
  tf.dispose((await run()) as tf.TensorContainer)
  const after = tf.memory()
  return Math.max(after.numTensors - before.numTensors, after.numDataBuffers - before.numDataBuffers)
}

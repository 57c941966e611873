import * as tf from '@tensorflow/tfjs-core'

/**
 * The same values, seen as a constant by differentiation.
 *
 * The result shares its data with `x` but is unknown to the tape, so the backward pass is cut here and nothing upstream
 * is computed for it.
 * @param x any shape
 * @returns a tensor of the same shape and type, to be disposed like any other
 */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  const engine = tf.engine()
  const { backend } = engine.state.tensorInfo.get(x.dataId)!
  backend.incRef(x.dataId)
  return engine.makeTensorFromTensorInfo({ dataId: x.dataId, shape: x.shape, dtype: x.dtype }, backend) as T
}

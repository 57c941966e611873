import * as tf from '@tensorflow/tfjs-core'
import { describeShape } from '../validation/validation.ts'

/** What `valueAndGradients` hands over; every tensor in it is the caller's to dispose. */
export interface ValueAndGradients {
  readonly loss: tf.Scalar
  /** what the function reported beside its loss */
  readonly metrics: Record<string, tf.Tensor>
  /** by parameter path; a parameter that the loss does not depend on is absent */
  readonly gradients: Record<string, tf.Tensor>
}

/**
 * Evaluates a scalar function and differentiates it towards named variables.
 *
 * The tensors handed over outlive any surrounding `tf.tidy`; when `f` throws, nothing stays behind.
 * @param parameters variables by path
 * @param f returns the loss `[]`, and tensors to report
 * @throws RangeError when the loss is no scalar, or there are no parameters
 */
export function valueAndGradients(
  parameters: Record<string, tf.Variable>,
  f: () => { loss: tf.Scalar; metrics?: Record<string, tf.Tensor> },
): ValueAndGradients {
  const names = Object.keys(parameters)
  if (names.length === 0) throw new RangeError('parameters: expected at least one, got none')
  let metrics: Record<string, tf.Tensor> = {}
  const forward = (): tf.Scalar => {
    const out = f()
    if (out.loss.rank !== 0) throw new RangeError(`loss: expected a scalar, got shape ${describeShape(out.loss.shape)}`)
    // Kept one by one: the engine ends its own scope around this function. Clones, because the loss may be among them.
    metrics = Object.fromEntries(Object.entries(out.metrics ?? {}).map(([k, v]) => [k, tf.keep(tf.clone(v))]))
    return out.loss
  }
  try {
    return tf.tidy(() => {
      const { value, grads } = tf.engine().gradients(forward, Object.values(parameters), undefined, true)
      const gradients: Record<string, tf.Tensor> = {}
      names.forEach((name, i) => {
        const gradient = grads[i] as tf.Tensor | undefined
        // Gradients may share one tensor (y = a + b): each is handed over as its own.
        if (gradient) gradients[name] = tf.keep(tf.clone(gradient))
      })
      return { loss: tf.keep(tf.clone(value)) as tf.Scalar, metrics, gradients }
    })
  } catch (error) {
    tf.dispose(metrics)
    abandonTape()
    throw error
  }
}

/** Frees what an interrupted forward or backward pass had saved: the engine does so only after a complete one. */
function abandonTape(): void {
  const { state } = tf.engine()
  if (state.gradientDepth > 0) return
  for (const node of state.activeTape ?? []) tf.dispose(node.saved ?? [])
  state.activeTape = []
}

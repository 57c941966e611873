import type * as tf from '@tensorflow/tfjs-core'

/** What one step had in hand, in the order in which it came to be. */
export interface StepTensors {
  readonly batch: tf.TensorContainer
  readonly parameters: Record<string, tf.Tensor>
  readonly buffers: Record<string, tf.Tensor>
  readonly metrics: Record<string, tf.Tensor>
  readonly loss: tf.Tensor
  readonly gradients: Record<string, tf.Tensor>
}

/** Names the tensor in which a value that is NaN or infinite first appeared. */
export async function firstNonFinite(tensors: StepTensors): Promise<string> {
  for (const [name, tensor] of inOrder(tensors)) if (await isBad(tensor)) return name
  // Each gradient is finite, yet the sum of their squares is not.
  return 'gradients'
}

function* inOrder({
  batch,
  parameters,
  buffers,
  metrics,
  loss,
  gradients,
}: StepTensors): Generator<[string, tf.Tensor]> {
  yield* leaves('batch', batch)
  yield* leaves('parameters', parameters)
  yield* leaves('buffers', buffers)
  yield* leaves('metrics', metrics)
  yield ['loss', loss]
  // Backwards: what breaks in one layer spreads to those before it.
  yield* Array.from(leaves('gradients', gradients)).toReversed()
}

function* leaves(name: string, value: unknown): Generator<[string, tf.Tensor]> {
  if (isTensor(value)) yield [name, value]
  else if (typeof value === 'object' && value !== null)
    for (const [field, inner] of Object.entries(value)) yield* leaves(`${name}.${field}`, inner)
}

async function isBad(tensor: tf.Tensor): Promise<boolean> {
  if (tensor.dtype !== 'float32') return false
  const values = await tensor.data<'float32'>()
  return !values.every(Number.isFinite)
}

function isTensor(value: unknown): value is tf.Tensor {
  return typeof value === 'object' && value !== null && 'dataId' in value
}

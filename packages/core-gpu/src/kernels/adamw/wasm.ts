import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'
import type { AdamWOptions } from './adamw.ts'

/** What a number costs, in multiply-adds. */
const operations = 8

/** XAdamW: one pass, in place when no other tensor shares the data; else into new tensors, which it returns. */
export function adamwWasm(
  pack: Pack,
  inputs: {
    parameter: tf.TensorInfo
    gradient: tf.TensorInfo
    firstMoment: tf.TensorInfo
    secondMoment: tf.TensorInfo
  },
  { learningRate, beta1, beta2, epsilon, weightDecay, step }: AdamWOptions,
): tf.TensorInfo[] {
  const state = [inputs.parameter, inputs.firstMoment, inputs.secondMoment]
  const inPlace = state.every(({ dataId }) => pack.backend.dataIdMap.get(dataId).refCount === 1)
  const updated = inPlace ? [] : state.map(({ shape }) => pack.output(shape))
  const [p, m, v] = state.map((tensor) => pack.address(tensor)) as [number, number, number]
  const targets = inPlace ? [p, m, v] : updated.map((tensor) => pack.address(tensor))
  pack.parallel(
    'adamw',
    tf.util.sizeFromShape(inputs.parameter.shape),
    grainOf(operations, 4),
    0,
    p,
    pack.address(inputs.gradient),
    m,
    v,
    ...targets,
    beta1,
    1 - beta1,
    beta2,
    1 - beta2,
    epsilon,
    1 - learningRate * weightDecay,
    learningRate / (1 - beta1 ** step),
    1 / (1 - beta2 ** step),
  )
  if (inPlace) state.forEach((tensor) => pack.renew(tensor))
  return updated
}

import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core'
import { attend } from '@x/core-gpu'
import { differentiate, type Operation } from '../operations.ts'

/** Causal attention; with stock kernels its plain version, which forms the scores. */
export const attention: Operation = (form, { batch = 1, heads = 1, length = 1, dim = 1 }, draw) => {
  const shape = [batch, heads, length, dim]
  const inputs = [draw(...shape), draw(...shape), draw(...shape)]
  const forward = ([q, k, v]: readonly Tensor[]): Tensor[] => {
    const { output, logSumExp } = attend(q as Tensor4D, k as Tensor4D, v as Tensor4D, { causal: true })
    return [output, logSumExp]
  }
  if (form === 'forward') return () => forward(inputs)
  return differentiate((all) => forward(all)[0]!, inputs, shape, draw)
}

import { key } from '@x/core-gpu'
import { digitsTraining } from '../../core/training-step/digits-training.ts'
import type { Operation } from '../operations.ts'

/** One training step of the digits autoencoder. */
export const digitsStep: Operation = (_, size) => {
  const step = digitsTraining('vq', size, key(0))
  return async () => {
    await step()
    return []
  }
}

import { restoreStockGradients } from './stock-gradients.ts'
import * as tf from '@tensorflow/tfjs-core'
import { it } from 'vitest'
import type { BackendName } from '../backends/device.ts'
import { useBackend } from '../backends/use-backend.ts'
import { restoreKernels } from '../kernels/registry.ts'
import { examine, type ExamineOptions } from './examine.ts'
import { operations } from './operations/index.ts'
import { record } from './test-operation.ts'

/** Declares, for each operation, a run that records what tfjs itself gives on a backend. */
export function recordStockKernels(backend: BackendName, options: ExamineOptions = {}): void {
  for (const operation of operations) {
    it(`${operation.name} on ${backend} is recorded`, async () => {
      await useBackend(backend, { kernels: 'stock' })
      restoreKernels(backend)
      restoreStockGradients()
      if (backend === 'wasm') await restartWasm()
      record(operation, backend, 'stock', await examine(operation, { ...options, shrink: false }))
    })
  }
}

/** A new heap: some stock kernels write past their tensors. */
async function restartWasm(): Promise<void> {
  const factory = tf.findBackendFactory('wasm')
  const backend = tf.backend()
  const dispose = backend.dispose.bind(backend)
  backend.dispose = () => {
    try {
      dispose()
    } catch {
      // A heap that was written over cannot even be given back.
    }
  }
  tf.removeBackend('wasm')
  tf.registerBackend('wasm', factory, 2)
  await tf.setBackend('wasm')
}

import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { attentionConformance } from '../testing/attention-conformance.ts'
import { anyOf, globalBlocks, windowBlocks } from './block-sparse/block-mask.ts'
import { blockSparse } from './block-sparse/block-sparse.ts'
import { dsa } from './dsa/dsa.ts'
import { nsa } from './nsa/nsa.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

describe.skipIf(!device)(`sparse attention on webgpu (${where})`, { timeout: 300_000 }, () => {
  const checks = [
    ...attentionConformance(blockSparse, {
      options: (key) => ({ dim: 8, heads: 2, blockSize: 2, pattern: anyOf(globalBlocks(1), windowBlocks(2)), key }),
      badOptions: {},
      elementsPerToken: 16,
    }),
    ...attentionConformance(nsa, {
      options: (key) => ({
        dim: 8,
        heads: 2,
        compressSize: 2,
        compressStride: 1,
        selectSize: 2,
        selected: 3,
        window: 2,
        key,
      }),
      badOptions: {},
      elementsPerToken: 48,
    }),
    ...attentionConformance(dsa, {
      options: (key) => ({
        dim: 8,
        heads: 2,
        kvRank: 6,
        nopeDim: 4,
        ropeDim: 2,
        indexHeads: 2,
        indexDim: 4,
        topK: 3,
        key,
      }),
      badOptions: {},
      elementsPerToken: 12,
    }),
  ]
  const own = /through a cache|later one/
  it.each(checks.filter(({ name }) => own.test(name)))('$name', ({ run }) => run())
})

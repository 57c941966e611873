import { useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { normalCodes } from '../codebooks/codebook.ts'
import { fsq, rotation, simvq, vq, vqEma } from '../index.ts'
import { quantizerConformance } from '../testing/index.ts'

const adapter = await useBackend('webgpu').then(
  (device) => device.describe().adapter,
  (error: unknown) => (error instanceof Error ? error.message.split('\n')[0] : String(error)),
)
const ready = await useBackend('webgpu').then(
  () => true,
  () => false,
)

describe(`quantizers on webgpu (${adapter})`, () => {
  const small = { dim: 4, codebookSize: 16, init: normalCodes }
  const checks = [
    ...quantizerConformance(vq, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: true }),
    ...quantizerConformance(rotation, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: true }),
    ...quantizerConformance(vqEma, {
      options: (k) => ({ ...small, kMeans: { iterations: 3 }, deadCodes: {}, key: k }),
      badOptions: {},
      nearest: true,
    }),
    ...quantizerConformance(simvq, {
      options: (k) => ({ dim: 4, codebookSize: 16, key: k }),
      badOptions: {},
      nearest: true,
    }),
    ...quantizerConformance(fsq, {
      options: () => ({ levels: [5, 4, 3], normalise: true }),
      badOptions: {},
      nearest: false,
    }),
  ]
  it.skipIf(!ready).each(checks)('$name', ({ run }) => run())
})

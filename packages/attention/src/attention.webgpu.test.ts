import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { alibi, gla, gqa, gta, mfa, mha, mla, mqa, rope, tpa } from './index.ts'
import { attentionConformance } from './testing/index.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

// Each shape is a program to compile, which a software adapter is slow at.
const patience = { timeout: 300_000 }

describe.skipIf(!device)(`attention on webgpu (${where})`, patience, () => {
  const small = { dim: 8, heads: 2, positions: rope() }
  const latent = { dim: 8, heads: 4, kvRank: 6, nopeDim: 4, ropeDim: 2 }
  const checks = [
    ...attentionConformance(mha, {
      options: (key) => ({ ...small, gate: 'element' as const, sinks: 'learned' as const, dropout: 0.2, key }),
      badOptions: {},
      elementsPerToken: 16,
    }),
    ...attentionConformance(mqa, {
      options: (key) => ({ dim: 8, heads: 2, positions: alibi(), window: 3, keepFirst: 1, key }),
      badOptions: {},
      elementsPerToken: 8,
      relative: false,
    }),
    ...attentionConformance(gqa, {
      options: (key) => ({ ...small, heads: 4, headDim: 4, groups: 2, qkNorm: true, window: 3, key }),
      badOptions: {},
      elementsPerToken: 16,
    }),
    ...attentionConformance(mla, {
      options: (key) => ({ ...latent, queryRank: 5, key }),
      badOptions: {},
      elementsPerToken: 8,
    }),
    ...attentionConformance(gla, {
      options: (key) => ({ ...latent, path: 'absorbed' as const, key }),
      badOptions: {},
      elementsPerToken: 8,
    }),
    ...attentionConformance(mfa, {
      options: (key) => ({ ...small, queryRank: 3, key }),
      badOptions: {},
      elementsPerToken: 8,
    }),
    ...attentionConformance(tpa, {
      options: (key) => ({ ...small, ranks: [3, 2, 1] as [number, number, number], key }),
      badOptions: {},
      elementsPerToken: 3 * (2 + 4),
    }),
    ...attentionConformance(gta, {
      options: (key) => ({ dim: 8, heads: 4, groups: 2, headDim: 4, key }),
      badOptions: {},
      elementsPerToken: 10,
    }),
  ]
  // What the engine does with any projection is tried with some of them: a software adapter is slow at all of it.
  const engineOnly = [
    /attention\/(mqa|gla|mfa|tpa|gta) .*(truncated|later one|keeps the shape|sees nothing|positions shift|round trip|determined by|leaves no tensor)/,
    /attention\/(gqa|mqa|gla|mfa|tpa|gta) .*gives tokens and every/,
    /attention\/(?!gqa).* honours a mask and a bias/,
  ]
  const own = checks.filter(({ name }) => !engineOnly.some((pattern) => pattern.test(name)))
  it.each(own)('$name', ({ run }) => run())
})

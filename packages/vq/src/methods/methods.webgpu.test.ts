import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { normalCodes } from '../codebooks/codebook.ts'
import { checkFsq, checkFsqTan, checkIfsq, checkResidualFsq } from '../golden/finite-scalar.ts'
import { type GoldenCase, goldenCases } from '../golden/golden.ts'
import { checkBsq, checkLfq } from '../golden/lookup-free.ts'
import { checkGroupedResidualVq, checkMultiHead, checkResidualVq } from '../golden/structures.ts'
import {
  bsq,
  cosineVq,
  diveq,
  fsq,
  groupedResidualVq,
  gumbel,
  ibq,
  ifsq,
  lfq,
  multiHeadVq,
  nsvq,
  optvq,
  residualFsq,
  residualLfq,
  residualSimvq,
  residualVq,
  rotation,
  sfDiveq,
  simvq,
  vq,
  vqBridge,
  vqEma,
  vqStePlusPlus,
  wassersteinVq,
} from '../index.ts'
import { quantizerConformance } from '../testing/index.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

describe.skipIf(!device)(`quantizers on webgpu (${where})`, () => {
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
    ...quantizerConformance(cosineVq, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: false }),
    ...quantizerConformance(diveq, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: true }),
    ...quantizerConformance(sfDiveq, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: true }),
    ...quantizerConformance(nsvq, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: true }),
    ...quantizerConformance(ibq, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: false }),
    ...quantizerConformance(gumbel, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: true }),
    ...quantizerConformance(vqStePlusPlus, {
      options: (k) => ({ ...small, affine: 'running' as const, key: k }),
      badOptions: {},
      nearest: true,
    }),
    ...quantizerConformance(vqBridge, {
      options: (k) => ({ dim: 4, codebookSize: 16, width: 8, patch: 2, depth: 1, key: k }),
      badOptions: {},
      nearest: true,
    }),
    ...quantizerConformance(wassersteinVq, { options: (k) => ({ ...small, key: k }), badOptions: {}, nearest: true }),
    ...quantizerConformance(optvq, {
      options: (k) => ({ dim: 4, codebookSize: 16, key: k }),
      badOptions: {},
      nearest: true,
    }),
    ...quantizerConformance(fsq, {
      options: () => ({ levels: [5, 4, 3], normalise: true }),
      badOptions: {},
      nearest: false,
    }),
    ...quantizerConformance(lfq, {
      options: () => ({ bits: 3, codebooks: 2, commitment: 0.25 }),
      badOptions: {},
      nearest: false,
    }),
    ...quantizerConformance(ifsq, { options: () => ({ levels: [5, 3] }), badOptions: {}, nearest: false }),
    ...quantizerConformance(residualFsq, {
      options: () => ({ levels: [5, 4], layers: 2, noise: 0.2 }),
      badOptions: {},
      nearest: false,
    }),
    ...quantizerConformance(residualLfq, {
      options: () => ({ bits: 3, layers: 2, spherical: true }),
      badOptions: {},
      nearest: false,
    }),
    ...quantizerConformance(residualSimvq, {
      options: (k) => ({ dim: 4, codebookSize: 16, layers: 2, key: k }),
      badOptions: {},
      nearest: false,
    }),
    ...quantizerConformance(residualVq, {
      options: (k) => ({ ...small, layers: 3, beam: 2, dropout: {}, key: k }),
      badOptions: {},
      nearest: false,
    }),
    ...quantizerConformance(groupedResidualVq, {
      options: (k) => ({ ...small, layers: 2, groups: 2, shared: true, deadCodes: {}, key: k }),
      badOptions: {},
      nearest: false,
    }),
    ...quantizerConformance(multiHeadVq, {
      options: (k) => ({ ...small, heads: 2, kMeans: {}, key: k }),
      badOptions: {},
      nearest: false,
    }),
    ...quantizerConformance(bsq, { options: () => ({ bits: 4, groupSize: 3 }), badOptions: {}, nearest: true }),
  ]
  it.each(checks)('$name', ({ run }) => run())

  const golden: Record<string, (c: GoldenCase) => Promise<void>> = {
    'bsq-lfq-spherical': checkLfq,
    'bsq-official': checkBsq,
    fsq: checkFsq,
    'fsq-tan': checkFsqTan,
    'grouped-residual-vq': checkGroupedResidualVq,
    ifsq: checkIfsq,
    lfq: checkLfq,
    'multi-head': checkMultiHead,
    'residual-fsq': checkResidualFsq,
    'residual-vq': checkResidualVq,
    'residual-vq-shared': checkResidualVq,
  }
  describe.each(Object.entries(golden))('%s as the reference', (kind, compare) => {
    it.each(goldenCases(kind))('$id', compare)
  })
})

import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { normalCodes } from '../codebooks/codebook.ts'
import {
  checkFsp,
  checkFsq,
  checkFsqTan,
  checkIfsq,
  checkLatentQuantize,
  checkResidualFsq,
} from '../golden/finite-scalar.ts'
import { type GoldenCase, goldenCases } from '../golden/golden.ts'
import { checkBsq, checkLfq } from '../golden/lookup-free.ts'
import {
  checkGroupedResidualVq,
  checkHierarchical,
  checkMultiHead,
  checkRandomProjection,
  checkResidualVq,
} from '../golden/structures.ts'
import {
  checkAffine,
  checkBridge,
  checkDeadCodes,
  checkEma,
  checkKMeans,
  checkKMeansInit,
  checkSimvq,
  checkSimvqOfficial,
  checkVqGradients,
  checkVqvaeLoss,
} from '../golden/codebooks.ts'
import {
  checkDirectional,
  checkGeneralSte,
  checkGumbel,
  checkIbq,
  checkNoiseSubstitution,
  checkRotateTo,
  checkSpaceFilling,
  checkSynchronised,
} from '../golden/estimators.ts'
import {
  checkDiversity,
  checkMetrics,
  checkOptvq,
  checkOrthogonalActive,
  checkOrthogonality,
  checkWasserstein,
} from '../golden/losses.ts'
import {
  bsq,
  cosineVq,
  diveq,
  fsp,
  fsq,
  groupedResidualVq,
  gumbel,
  ibq,
  ifsq,
  latentQuantization,
  lfq,
  multiHeadVq,
  multiScaleVq,
  nsvq,
  qinco,
  residualFsq,
  residualLfq,
  residualSimvq,
  optvq,
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
import { beamSearch } from '../structures/beam.ts'
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
    ...quantizerConformance(fsp, { options: () => ({ levels: [5, 3] }), badOptions: {}, nearest: false }),
    ...quantizerConformance(latentQuantization, { options: () => ({ levels: [5, 4] }), badOptions: {}, nearest: true }),
    ...quantizerConformance(qinco, {
      options: (k) => ({ dim: 4, codebookSize: 8, layers: 2, depth: 1, key: k }),
      badOptions: {},
      nearest: false,
      fixedCodes: false,
      rounding: 1e-5,
    }),
    ...quantizerConformance(multiScaleVq, {
      // Running means are summed in an order of the device's own, so that they are not the same to the last bit.
      options: (k) => ({ ...small, scales: [1, 2], size: [3, 2] as [number, number], codes: 'free' as const, key: k }),
      badOptions: {},
      nearest: false,
      item: [3, 2],
      indicesPerItem: 5,
      fixedCodes: false,
      rounding: 1e-5,
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
      options: (k) => ({ ...small, layers: 3, search: beamSearch(2), dropout: {}, key: k }),
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
  // What the engines do with any method is tried with some of them: a software adapter is slow at all of it.
  const engines =
    /^(?!vq\/(vq|simvq|fsq|lfq|residual-vq|multi-head-vq) ).*(leading shape|round trip|honours a mask|loses nothing|gradient on to|determined by|leaves no tensor)/
  it.each(checks.filter(({ name }) => !engines.test(name)))('$name', ({ run }) => run())

  const golden: Record<string, (c: GoldenCase) => Promise<void>> = {
    'affine-param': checkAffine,
    'bsq-lfq-spherical': checkLfq,
    'bsq-official': checkBsq,
    fsp: checkFsp,
    'dead-code': checkDeadCodes,
    diveq: checkDirectional,
    'diveq-official': checkDirectional,
    'diversity-loss': checkDiversity,
    fsq: checkFsq,
    'fsq-tan': checkFsqTan,
    'fvq-bridge': checkBridge,
    'general-ste': checkGeneralSte,
    'grouped-residual-vq': checkGroupedResidualVq,
    hierarchical: checkHierarchical,
    ifsq: checkIfsq,
    'latent-quantize': checkLatentQuantize,
    gumbel: checkGumbel,
    ibq: checkIbq,
    kmeans: checkKMeans,
    'kmeans-init': checkKMeansInit,
    lfq: checkLfq,
    metrics: checkMetrics,
    'multi-head': checkMultiHead,
    'random-projection': checkRandomProjection,
    'residual-fsq': checkResidualFsq,
    nsvq: checkNoiseSubstitution,
    optvq: checkOptvq,
    'orthogonal-active': checkOrthogonalActive,
    'orthogonal-loss': checkOrthogonality,
    'residual-vq': checkResidualVq,
    'residual-vq-shared': checkResidualVq,
    'rotate-to': checkRotateTo,
    'sf-diveq': checkSpaceFilling,
    simvq: checkSimvq,
    'simvq-official': checkSimvqOfficial,
    'vq-cosine-ema': checkEma,
    'vq-euclid-ema': checkEma,
    'vq-gradients': checkVqGradients,
    'vqstepp-sync': checkSynchronised,
    'vqvae-loss': checkVqvaeLoss,
    wasserstein: checkWasserstein,
  }
  describe.each(Object.entries(golden))('%s as the reference', (kind, compare) => {
    it.each(goldenCases(kind))('$id', compare)
  })
})

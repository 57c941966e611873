import type { Verdict } from './result.ts'
import { bootstrapInterval } from './statistics.ts'
import { type ClaimDefinition, defineClaim, onEverySeed, type Series } from './verdicts.ts'

type Source = Omit<Verdict['source'], 'where'>

const simvqPaper: Source = {
  title: 'Addressing Representation Collapse in Vector Quantized Models with One Linear Layer',
  arxiv: '2411.02038',
}
const rotationPaper: Source = {
  title: 'Restructuring Vector Quantization with the Rotation Trick',
  arxiv: '2410.06424',
}
const fsqPaper: Source = { title: 'Finite Scalar Quantization: VQ-VAE Made Simple', arxiv: '2309.15505' }

const onDigits = (method: string, metric: string): Series => ({ task: 'vq/digits', method, metric })
const onCloud = (method: string, params: Series['params'] & object): Series => ({
  task: 'vq/codebook',
  method,
  metric: 'usage',
  params: { mean: 1, codebookSize: 256, ...params },
})

const usageOnDigits =
  'share of the 512 codes that the held-out digits use, in an autoencoder of digits after 1000 steps'
const reconstructionOfDigits =
  'mean squared error of held-out digits, in an autoencoder with 512 codes after 1000 steps'

/** Every statement that is measured here: those of papers, whether they hold at this size or not, and our own. */
export const claims: readonly ClaimDefinition[] = [
  defineClaim({
    id: 'simvq-usage',
    claim: 'SimVQ uses nearly the whole codebook',
    source: { ...simvqPaper, where: 'Table 1: 100 % at K = 65,536' },
    measured: usageOnDigits,
    series: { simvq: onDigits('simvq', 'usage') },
    condition: 'usage of at least 0.9 at every seed',
    holds: ({ simvq }) => simvq.every((usage) => usage >= 0.9),
  }),
  defineClaim({
    id: 'vq-collapse',
    claim: 'Plain VQ leaves most of its codes unused',
    source: { ...simvqPaper, where: 'Table 1: 1.4 % for VQGAN at K = 65,536' },
    measured: usageOnDigits,
    series: { vq: onDigits('vq', 'usage') },
    condition: 'usage of at most 0.5 at every seed',
    holds: ({ vq }) => vq.every((usage) => usage <= 0.5),
  }),
  defineClaim({
    id: 'simvq-reconstruction',
    claim: 'SimVQ reconstructs better than plain VQ',
    source: { ...simvqPaper, where: 'Table 1: rFID 2.24 against 3.74' },
    measured: reconstructionOfDigits,
    series: { simvq: onDigits('simvq', 'reconstruction'), vq: onDigits('vq', 'reconstruction') },
    condition: 'lower error with SimVQ at every seed',
    holds: ({ simvq, vq }) => onEverySeed(simvq, vq, (a, b) => a < b),
  }),
  defineClaim({
    id: 'rotation-usage',
    claim: 'The rotation trick uses more codes than the straight-through estimator',
    source: { ...rotationPaper, where: 'Tables 2 and 3: 27 to 99 %, 15 to 86 %' },
    measured: usageOnDigits,
    series: { rotation: onDigits('rotation', 'usage'), vq: onDigits('vq', 'usage') },
    condition: 'higher usage with the rotation trick at every seed',
    holds: ({ rotation, vq }) => onEverySeed(rotation, vq, (a, b) => a > b),
  }),
  defineClaim({
    id: 'rotation-full-usage',
    claim: 'The rotation trick uses nearly the whole codebook',
    source: { ...rotationPaper, where: 'Table 2: 98 and 99 % at K = 1024' },
    measured: usageOnDigits,
    series: { rotation: onDigits('rotation', 'usage') },
    condition: 'usage of at least 0.9 at every seed',
    holds: ({ rotation }) => rotation.every((usage) => usage >= 0.9),
  }),
  defineClaim({
    id: 'rotation-quantization-error',
    claim: 'The rotation trick lowers the quantization error',
    source: { ...rotationPaper, where: 'Table 2: .134 to .002' },
    measured: 'mean squared distance of held-out latents from their codes, in an autoencoder of digits',
    series: { rotation: onDigits('rotation', 'quantizationError'), vq: onDigits('vq', 'quantizationError') },
    condition: 'lower error with the rotation trick at every seed',
    holds: ({ rotation, vq }) => onEverySeed(rotation, vq, (a, b) => a < b),
  }),
  defineClaim({
    id: 'rotation-relative-error',
    claim: 'The rotation trick lowers the quantization error, also relative to the spread of the latents',
    source: { ...rotationPaper, where: 'Table 2, where the error is absolute' },
    measured: 'quantization error over the variance of held-out latents, in an autoencoder of digits',
    series: { rotation: onDigits('rotation', 'relativeError'), vq: onDigits('vq', 'relativeError') },
    condition: 'lower relative error with the rotation trick at every seed',
    holds: ({ rotation, vq }) => onEverySeed(rotation, vq, (a, b) => a < b),
  }),
  defineClaim({
    id: 'rotation-reconstruction',
    claim: 'The rotation trick reconstructs better than the straight-through estimator',
    source: { ...rotationPaper, where: 'Table 2: rFID 7.3 to 4.6' },
    measured: reconstructionOfDigits,
    series: { rotation: onDigits('rotation', 'reconstruction'), vq: onDigits('vq', 'reconstruction') },
    condition: 'lower error with the rotation trick at every seed',
    holds: ({ rotation, vq }) => onEverySeed(rotation, vq, (a, b) => a < b),
  }),
  defineClaim({
    id: 'fsq-usage',
    claim: 'FSQ uses nearly all of its codes',
    source: { ...fsqPaper, where: 'MaskGIT on ImageNet 256: 100 % of the codes' },
    measured: `${usageOnDigits}; latents brought to mean 0 and variance 1`,
    series: { fsq: onDigits('fsq', 'usage') },
    condition: 'usage of at least 0.95 at every seed',
    holds: ({ fsq }) => fsq.every((usage) => usage >= 0.95),
  }),
  defineClaim({
    id: 'fsq-raw-usage',
    claim: 'FSQ uses nearly all of its codes on raw latents too',
    source: { ...fsqPaper, where: 'the method: a bounding function is all that is put before rounding' },
    measured: `${usageOnDigits}; latents as the encoder gives them`,
    series: { fsq: { ...onDigits('fsq', 'usage'), params: { levels: [8, 8, 8], input: 'raw' } } },
    condition: 'usage of at least 0.95 at every seed',
    holds: ({ fsq }) => fsq.every((usage) => usage >= 0.95),
  }),
  defineClaim({
    id: 'fsq-reconstruction',
    claim: 'FSQ reconstructs no worse than plain VQ',
    source: { ...fsqPaper, where: 'MaskGIT on ImageNet 256: FID 4.53 against 4.51' },
    measured: reconstructionOfDigits,
    series: { fsq: onDigits('fsq', 'reconstruction'), vq: onDigits('vq', 'reconstruction') },
    condition: 'error at most 1 % above that of VQ at every seed',
    holds: ({ fsq, vq }) => onEverySeed(fsq, vq, (a, b) => a <= 1.01 * b),
  }),
  defineClaim({
    id: 'vq-off-centre',
    claim: 'Codes that no vector chooses never move, so plain VQ does not reach data off the origin',
    source: { ...simvqPaper, where: 'the motivation: only the chosen codes get a gradient' },
    measured: 'share of 256 codes used by fresh points of a normal cloud around 1',
    series: { vq: onCloud('vq', {}) },
    condition: 'usage of at most 0.3 at every seed',
    holds: ({ vq }) => vq.every((usage) => usage <= 0.3),
  }),
  defineClaim({
    id: 'simvq-bias',
    claim: 'On data off the origin the linear map of SimVQ needs its bias',
    source: { ...simvqPaper, where: 'official code: its linear layer has a bias' },
    measured: 'share of 256 codes used by fresh points of a normal cloud around 1',
    series: { withBias: onCloud('simvq', { bias: true }), withoutBias: onCloud('simvq', { bias: false }) },
    condition: 'usage higher by at least 0.2 with the bias at every seed',
    holds: ({ withBias, withoutBias }) => onEverySeed(withBias, withoutBias, (a, b) => a >= b + 0.2),
  }),
  defineClaim({
    id: 'training-step',
    claim: 'A training step on WebAssembly is at least 5 times as fast as with the kernels of TensorFlow.js',
    source: { title: '@x/core-gpu', where: 'our own statement' },
    measured: 'time of a training step of a VQ autoencoder of digits, both kinds of kernels in turns',
    series: { speedup: { task: 'core/training-step', method: 'vq', metric: 'speedup' } },
    condition: 'a ratio of at least 5 at the lower end of the 95 % bootstrap interval of the median',
    holds: ({ speedup }) => bootstrapInterval(speedup).low >= 5,
  }),
]

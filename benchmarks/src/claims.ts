import type { Verdict } from './result.ts'
import { bootstrapInterval, median } from './statistics.ts'
import { attentionClaims } from './tasks/attention/claims.ts'
import { diffusionClaims } from './tasks/diffusion/claims.ts'
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

const lfqPaper: Source = {
  title: 'Language Model Beats Diffusion -- Tokenizer is Key to Visual Generation',
  arxiv: '2310.05737',
}
const bsqPaper: Source = {
  title: 'Image and Video Tokenization with Binary Spherical Quantization',
  arxiv: '2406.07548',
}
const ibqPaper: Source = {
  title: 'Scalable Image Tokenization with Index Backpropagation Quantization',
  arxiv: '2412.02692',
}
const diveqPaper: Source = {
  title: 'DiVeQ: Differentiable Vector Quantization Using the Reparameterization Trick',
  arxiv: '2509.26469',
}
const optvqPaper: Source = {
  title: 'Preventing Local Pitfalls in Vector Quantization via Optimal Transport',
  arxiv: '2412.15195',
}
const ours: Source = { title: '@x/vq' }

const onDigits = (method: string, metric: string): Series => ({ task: 'vq/digits', method, metric })
const onCloud = (method: string, params: Series['params'] & object): Series => ({
  task: 'vq/codebook',
  method,
  metric: 'usage',
  params: { mean: 1, codebookSize: 256, ...params },
})
const atScale = (method: string, bits: number, metric: string): Series => ({
  task: 'vq/scale',
  method,
  metric,
  params: { codebookSize: 2 ** bits },
})
const onGeneration = (method: string, metric: string): Series => ({ task: 'vq/generation', method, metric })
const rotationAt = (mean: number, metric: string, params: Series['params'] & object = {}): Series => ({
  task: 'vq/origin',
  method: 'rotation',
  metric,
  params: { mean, start: 'uniform', scaled: true, ...params },
})

/** Whether each figure is below the one before it, seed by seed. */
const fallsOnEverySeed = (...figures: readonly (readonly number[])[]): boolean =>
  figures.slice(1).every((after, i) => onEverySeed(figures[i]!, after, (a, b) => a > b))

/** Quantizers with 512 codes whose codes are generated, by the name that a claim gives them. */
const generated = {
  vq: 'vq',
  vqEma: 'vq-ema',
  rotation: 'rotation',
  simvq: 'simvq',
  cosine: 'cosine-vq',
  ibq: 'ibq',
  fsq: 'fsq',
  lfq: 'lfq',
  bsq: 'bsq',
}
type Generated = keyof typeof generated
const ofGenerated = <Name extends string>(
  metrics: Readonly<Record<Name, string>>,
): Record<`${Generated}${Name}`, Series> =>
  Object.fromEntries(
    Object.entries(generated).flatMap(([name, method]) =>
      Object.entries<string>(metrics).map(([suffix, metric]) => [`${name}${suffix}`, onGeneration(method, metric)]),
    ),
  ) as Record<`${Generated}${Name}`, Series>

const usageAtScale = 'share of the codes that fresh vectors of 32 numbers use, 20 vectors for each code'
const errorAtScale = 'error relative to the spread of fresh vectors of 32 numbers'
const usageOnDigits =
  'share of the 512 codes that the held-out digits use, in an autoencoder of digits after 1000 steps'
const reconstructionOfDigits =
  'mean squared error of held-out digits, in an autoencoder with 512 codes after 1000 steps'
const samplesOfDigits =
  'Fréchet distance of samples of a small transformer over 8 codes of 512 from held-out digits, in the features of a classifier'

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
    id: 'fsq-generation',
    claim: 'Codes of FSQ are generated no worse than those of plain VQ',
    source: { ...fsqPaper, where: 'MaskGIT on ImageNet 256: FID 4.53 against 4.51' },
    measured: samplesOfDigits,
    series: { fsq: onGeneration('fsq', 'generationDistance'), vq: onGeneration('vq', 'generationDistance') },
    condition: 'distance at most 5 % above that of VQ at every seed',
    holds: ({ fsq, vq }) => onEverySeed(fsq, vq, (a, b) => a <= 1.05 * b),
  }),
  defineClaim({
    id: 'reconstruction-is-not-generation',
    claim: 'What reconstructs better is not always better to generate from',
    source: { ...lfqPaper, where: 'Figure 1, by the size of the vocabulary; here by the quantizer' },
    measured: `${samplesOfDigits}, and the mean squared error of held-out digits`,
    series: ofGenerated({ Error: 'reconstruction', Distance: 'generationDistance' }),
    condition: 'two quantizers of which one has the lower error and the larger distance, at every seed',
    holds: (figures) => {
      const names = Object.keys(generated) as Generated[]
      return names.some((a) =>
        names.some(
          (b) =>
            fallsOnEverySeed(figures[`${b}Error`], figures[`${a}Error`]) &&
            fallsOnEverySeed(figures[`${a}Distance`], figures[`${b}Distance`]),
        ),
      )
    },
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
    id: 'simvq-usage-65536',
    claim: 'SimVQ uses nearly all of 65,536 codes',
    source: { ...simvqPaper, where: 'Table 1: 100 %' },
    measured: usageAtScale,
    series: { simvq: atScale('simvq', 16, 'usage') },
    condition: 'usage of at least 0.9 at every seed',
    holds: ({ simvq }) => simvq.every((usage) => usage >= 0.9),
  }),
  defineClaim({
    id: 'vq-collapse-65536',
    claim: 'Plain VQ leaves nearly all of 65,536 codes unused',
    source: { ...simvqPaper, where: 'Table 1: 1.4 % for VQGAN' },
    measured: usageAtScale,
    series: { vq: atScale('vq', 16, 'usage') },
    condition: 'usage below 0.1 at every seed',
    holds: ({ vq }) => vq.every((usage) => usage < 0.1),
  }),
  defineClaim({
    id: 'simvq-gains-by-size',
    claim: 'SimVQ gains by every larger codebook',
    source: { ...simvqPaper, where: 'rFID 3.67, 2.98, 2.24 and 1.99 at K = 1024, 8192, 65,536 and 262,144' },
    measured: errorAtScale,
    series: {
      at1024: atScale('simvq', 10, 'relativeError'),
      at4096: atScale('simvq', 12, 'relativeError'),
      at16384: atScale('simvq', 14, 'relativeError'),
      at65536: atScale('simvq', 16, 'relativeError'),
    },
    condition: 'lower error at each larger size, at every seed',
    holds: ({ at1024, at4096, at16384, at65536 }) => fallsOnEverySeed(at1024, at4096, at16384, at65536),
  }),
  defineClaim({
    id: 'vq-usage-by-size',
    claim: 'VQ uses less than half of a codebook of more than 2^11 codes',
    source: { ...fsqPaper, where: 'codebook usage by size, of VQ' },
    measured: usageAtScale,
    series: {
      at4096: atScale('vq', 12, 'usage'),
      at16384: atScale('vq', 14, 'usage'),
      at65536: atScale('vq', 16, 'usage'),
    },
    condition: 'usage below 0.5 at 2^12, 2^14 and 2^16 codes, at every seed',
    holds: ({ at4096, at16384, at65536 }) => [...at4096, ...at16384, ...at65536].every((usage) => usage < 0.5),
  }),
  defineClaim({
    id: 'fsq-usage-65536',
    claim: 'FSQ uses nearly all of about 65,536 codes',
    source: { ...simvqPaper, where: 'Table 1: 100 % for FSQ' },
    measured: `${usageAtScale}; latents brought to mean 0 and variance 1`,
    series: { fsq: atScale('fsq', 16, 'usage') },
    condition: 'usage of at least 0.95 at every seed',
    holds: ({ fsq }) => fsq.every((usage) => usage >= 0.95),
  }),
  defineClaim({
    id: 'lfq-usage-65536',
    claim: 'LFQ uses nearly all of 65,536 codes',
    source: { ...simvqPaper, where: 'Table 1: 100 % for LFQ' },
    measured: usageAtScale,
    series: { lfq: atScale('lfq', 16, 'usage') },
    condition: 'usage of at least 0.95 at every seed',
    holds: ({ lfq }) => lfq.every((usage) => usage >= 0.95),
  }),
  defineClaim({
    id: 'lfq-gains-by-size',
    claim: 'LFQ reconstructs better with every larger vocabulary',
    source: { ...lfqPaper, where: 'reconstruction by vocabulary size' },
    measured: errorAtScale,
    series: {
      at256: atScale('lfq', 8, 'relativeError'),
      at1024: atScale('lfq', 10, 'relativeError'),
      at4096: atScale('lfq', 12, 'relativeError'),
      at16384: atScale('lfq', 14, 'relativeError'),
      at65536: atScale('lfq', 16, 'relativeError'),
    },
    condition: 'lower error at each larger size, at every seed',
    holds: ({ at256, at1024, at4096, at16384, at65536 }) => fallsOnEverySeed(at256, at1024, at4096, at16384, at65536),
  }),
  defineClaim({
    id: 'bsq-scales',
    claim: 'BSQ scales to any number of bits: more of them cost little and bring vectors nearer',
    source: { ...bsqPaper, where: 'abstract: scalable to arbitrary token dimensions' },
    measured: `${errorAtScale}, and the time of a training step, with 8 and 16 bits`,
    series: {
      error8: atScale('bsq', 8, 'relativeError'),
      error16: atScale('bsq', 16, 'relativeError'),
      time8: atScale('bsq', 8, 'stepTime'),
      time16: atScale('bsq', 16, 'stepTime'),
    },
    condition: 'lower error with 16 bits at every seed, and a median step of at most three times the time',
    holds: ({ error8, error16, time8, time16 }) =>
      fallsOnEverySeed(error8, error16) && median(time16) <= 3 * median(time8),
  }),
  defineClaim({
    id: 'ibq-usage',
    claim: 'IBQ uses its codebook well, since every step moves all codes',
    source: { ...ibqPaper, where: 'abstract: high utilization at K = 2^18' },
    measured: usageOnDigits,
    series: { ibq: onDigits('ibq', 'usage') },
    condition: 'usage of at least 0.9 at every seed',
    holds: ({ ibq }) => ibq.every((usage) => usage >= 0.9),
  }),
  defineClaim({
    id: 'diveq-reconstruction',
    claim: 'DiVeQ reconstructs better than other ways of quantizing',
    source: { ...diveqPaper, where: 'abstract: improved reconstruction over alternatives' },
    measured: reconstructionOfDigits,
    series: {
      diveq: onDigits('diveq', 'reconstruction'),
      vq: onDigits('vq', 'reconstruction'),
      rotation: onDigits('rotation', 'reconstruction'),
      nsvq: onDigits('nsvq', 'reconstruction'),
    },
    condition: 'lower error than VQ, rotation and NSVQ at every seed',
    holds: ({ diveq, ...others }) => Object.values(others).every((other) => fallsOnEverySeed(other, diveq)),
  }),
  defineClaim({
    id: 'sf-diveq-usage',
    claim: 'SF-DiVeQ uses the whole codebook',
    source: { ...diveqPaper, where: 'abstract: full codebook usage' },
    measured: usageOnDigits,
    series: { sfDiveq: onDigits('sf-diveq', 'usage') },
    condition: 'usage of at least 0.95 at every seed',
    holds: ({ sfDiveq }) => sfDiveq.every((usage) => usage >= 0.95),
  }),
  defineClaim({
    id: 'sf-diveq-error',
    claim: 'SF-DiVeQ has less quantization error than DiVeQ',
    source: { ...diveqPaper, where: 'abstract: less quantization error by the space-filling variant' },
    measured: 'quantization error over the variance of held-out latents, in an autoencoder of digits',
    series: { sfDiveq: onDigits('sf-diveq', 'relativeError'), diveq: onDigits('diveq', 'relativeError') },
    condition: 'lower relative error with SF-DiVeQ at every seed',
    holds: ({ sfDiveq, diveq }) => fallsOnEverySeed(diveq, sfDiveq),
  }),
  defineClaim({
    id: 'optvq-usage',
    claim: 'OptVQ uses the whole codebook',
    source: { ...optvqPaper, where: 'abstract: 100 % utilization' },
    measured: usageOnDigits,
    series: { optvq: onDigits('optvq', 'usage') },
    condition: 'usage of at least 0.99 at every seed',
    holds: ({ optvq }) => optvq.every((usage) => usage >= 0.99),
  }),
  defineClaim({
    id: 'optvq-reconstruction',
    claim: 'OptVQ reconstructs better than plain VQ',
    source: { ...optvqPaper, where: 'abstract: reconstruction above the state of the art of its time' },
    measured: reconstructionOfDigits,
    series: { optvq: onDigits('optvq', 'reconstruction'), vq: onDigits('vq', 'reconstruction') },
    condition: 'lower error with OptVQ at every seed',
    holds: ({ optvq, vq }) => fallsOnEverySeed(vq, optvq),
  }),
  defineClaim({
    id: 'rotation-starves',
    claim: 'The scale |q| / |z| of the rotation trick starves the encoder while the codes are short',
    source: { ...ours, where: 'our own statement' },
    measured: 'length of the gradient in front of the codes by that behind them, in the first ten steps',
    series: {
      scaled: rotationAt(0, 'passedGradient'),
      unscaled: rotationAt(0, 'passedGradient', { scaled: false }),
      placed: rotationAt(0, 'passedGradient', { start: 'k-means' }),
    },
    condition:
      'at most 0.5 as in the paper; at least 0.8 unscaled, and also with codes placed by k-means; at every seed',
    holds: ({ scaled, unscaled, placed }) =>
      scaled.every((ratio) => ratio <= 0.5) && [...unscaled, ...placed].every((ratio) => ratio >= 0.8),
  }),
  defineClaim({
    id: 'rotation-origin',
    claim: 'For the rotation trick the origin is a special point: far from it, its gain in usage is gone',
    source: { ...ours, where: 'our own statement' },
    measured: 'share of 256 codes used by fresh data, latents and codes around 0 and around 10',
    series: { near: rotationAt(0, 'usage'), far: rotationAt(10, 'usage') },
    condition: 'usage lower by at least 0.1 around 10 at every seed',
    holds: ({ near, far }) => onEverySeed(near, far, (a, b) => a >= b + 0.1),
  }),
  defineClaim({
    id: 'nearest-code-memory',
    claim: 'Nothing grows with vectors times codes while the nearest codes are sought',
    source: { ...ours, where: 'our own statement' },
    measured: 'rise in memory (MB) while 8192 vectors take their codes of 65,536; all distances would be 2147 MB',
    series: { simvq: atScale('simvq', 16, 'memory'), vq: atScale('vq', 16, 'memory') },
    condition: 'at most 100 MB at every seed',
    holds: ({ simvq, vq }) => [...simvq, ...vq].every((rise) => rise <= 100),
  }),
  ...diffusionClaims,
  ...attentionClaims,
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

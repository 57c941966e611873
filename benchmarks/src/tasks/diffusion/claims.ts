import { bootstrapInterval } from '../../statistics.ts'
import { type ClaimDefinition, defineClaim, onEverySeed, type Series } from '../../verdicts.ts'
import { fixedSamplers } from './fixed-samplers.ts'
import { levels, metricOf } from './upsample-field/levels.ts'

type Source = ClaimDefinition['source']

const ours: Source = { title: '@x/diffusion', where: 'our own statement' }

const onFlow = (method: string, metric: string): Series => ({ task: 'diffusion/order', method, metric })
const ofOrder = (id: string, name: string, method: string, order: number, source: Source): ClaimDefinition =>
  defineClaim({
    id: `order-${id}`,
    claim: `${name} is of order ${order}`,
    source,
    measured: 'order fitted to errors against the exact ends of trajectories, on a ring of eight Gaussians',
    series: { order: onFlow(method, 'order') },
    condition: `within 0.15 of ${order} at every seed`,
    holds: ({ order: fitted }) => fitted.every((value) => Math.abs(value - order) <= 0.15),
  })

const onField = (method: string, level: number): Series => ({
  task: 'diffusion/upsample-field',
  method,
  metric: metricOf(level),
})
const noisy = levels.filter((level) => level <= -2)
const guided = Object.fromEntries(
  [...noisy, 0].flatMap((level) => [
    [`naive ${level}`, onField('naive', level)],
    [`guided ${level}`, onField('upsample', level)],
  ]),
)

const overheads = Object.fromEntries(
  Object.entries({ ...fixedSamplers, amed: { variants: [{}] } }).flatMap(([method, { variants }]) =>
    variants.map((params) => [
      [method, ...Object.values(params)].join(' '),
      { task: 'diffusion/overhead', method, metric: 'share', params },
    ]),
  ),
) as Record<string, Series>

/** What is said of samplers and guidance, by papers and here. */
export const diffusionClaims: readonly ClaimDefinition[] = [
  ofOrder('ddim', 'DDIM', 'ddim', 1, {
    title: 'DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps',
    arxiv: '2206.00927',
    where: 'DDIM as the solver of order 1',
  }),
  ofOrder('heun', 'Heun’s method', 'heun', 2, {
    title: 'Elucidating the Design Space of Diffusion-Based Generative Models',
    arxiv: '2206.00364',
    where: 'Algorithm 1: a method of order 2',
  }),
  ofOrder('dpm-solver-2m', 'DPM-Solver++(2M)', 'dpm-solver-multistep', 2, {
    title: 'DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models',
    arxiv: '2211.01095',
    where: 'the multistep solver of order 2',
  }),
  ofOrder('unipc-2', 'UniPC-2 with its corrector', 'unipc', 3, {
    title: 'UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models',
    arxiv: '2302.04867',
    where: 'the corrector adds one to the order',
  }),
  defineClaim({
    id: 'few-calls',
    claim: 'With four calls, AMED ends nearest, then DPM-Solver++(2M), then DDIM, and Heun’s method is worst',
    source: ours,
    measured: 'error of the ends of trajectories on six scattered Gaussians, four calls on EDM’s grid',
    series: {
      amed: onFlow('amed', 'calls4'),
      multistep: onFlow('dpm-solver-multistep', 'calls4'),
      ddim: onFlow('ddim', 'calls4'),
      heun: onFlow('heun', 'calls4'),
    },
    condition: 'each error below the next at every seed',
    holds: ({ amed, multistep, ddim, heun }) =>
      onEverySeed(amed, multistep, (a, b) => a < b) &&
      onEverySeed(multistep, ddim, (a, b) => a < b) &&
      onEverySeed(ddim, heun, (a, b) => a < b),
  }),
  defineClaim({
    id: 'upsample-guidance',
    claim: 'Upsample guidance helps where noise is strong, and harms where little is left',
    source: ours,
    measured: 'error of the noise in images of a Gaussian field, by the exact model of half the size',
    series: guided,
    condition: `lower error than without guidance at logSNR ${noisy.join(', ')}, higher at 0, at every seed`,
    holds: (figures) =>
      noisy.every((level) => onEverySeed(figures[`guided ${level}`]!, figures[`naive ${level}`]!, (a, b) => a < b)) &&
      onEverySeed(figures['guided 0']!, figures['naive 0']!, (a, b) => a > b),
  }),
  defineClaim({
    id: 'sampler-overhead',
    claim: 'A sampler adds at most 5 % to the time of a small U-Net',
    source: ours,
    measured: 'time of a sampler for each call that it makes, by that of the U-Net, 64 images of 32 × 32 × 3',
    series: overheads,
    condition: 'at most 0.05 at the upper end of the 95 % bootstrap interval of the median, for every sampler',
    holds: (figures) => Object.values(figures).every((share) => bootstrapInterval(share).high <= 0.05),
  }),
]

import { defineTask, type Task } from '../../../define-task.ts'
import { samplerSources } from '../diffusion-sources.ts'
import { fixedSampler, fixedSamplers, stepsFor } from '../fixed-samplers.ts'
import { setTitles } from './sets.ts'

/** Calls; multiples of three among them, for methods of three stages. */
const budgets = [12, 4, 8, 24, 64]
const within = (params: readonly Task['methods'][string][number][]): Task['methods'][string] =>
  params.flatMap((variant) => budgets.map((nfe) => Object.assign({ nfe }, variant)))

/** How near to the data samples are when the denoiser may be called so many times and is exact. */
export const nfe: Task = defineTask({
  id: 'diffusion/nfe',
  family: 'diffusion',
  title: 'Samples by calls of the denoiser',
  summary:
    'Two thousand samples in the plane by the exact score, compared with fresh data: what is off is the sampler’s. Every sampler gets the same calls (nfe), the same noise and EDM’s grid; one that cannot make exactly so many, or does no more with them than warm up, is left out there, as are those that choose their steps themselves. Discrepancies are unbiased: of nothing but chance they fall around 0.',
  methods: {
    ...Object.fromEntries(Object.entries(fixedSamplers).map(([method, { variants }]) => [method, within(variants)])),
    amed: within([{}]),
  },
  backends: ['wasm'],
  covers: ({ method, params }) => {
    const calls = Number(params.nfe)
    // What AMED learns are few points: with many calls there is nothing to learn.
    if (method === 'amed') return calls <= 12
    return stepsFor(fixedSampler(method), calls, params) !== undefined
  },
  metrics: Object.fromEntries(
    Object.entries(setTitles).flatMap(([name, title]) => [
      [`${name}Wasserstein`, { title: `${title}: sliced W2`, unit: 'distance', better: 'lower' as const }],
      [`${name}Discrepancy`, { title: `${title}: MMD²`, unit: 'squared MMD', better: 'lower' as const }],
    ]),
  ),
  seeds: 3,
  timing: false,
  sources: [
    ...samplerSources,
    'packages/diffusion/src/distances',
    'packages/diffusion/src/distributions',
    'benchmarks/src/tasks/diffusion/nfe',
  ],
  run: async (context) => (await import('./measure-nfe.ts')).measureNfe(context),
})

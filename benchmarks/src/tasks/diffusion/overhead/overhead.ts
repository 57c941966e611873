import { defineTask, type Task } from '../../../define-task.ts'
import { samplerSources } from '../diffusion-sources.ts'
import { fixedSamplers } from '../fixed-samplers.ts'

/** What a sampler costs beside the network that it calls. */
export const overhead: Task = defineTask({
  id: 'diffusion/overhead',
  family: 'diffusion',
  title: 'What samplers cost beside the network',
  summary:
    '64 images of 32 × 32 × 3 in 20 steps whose denoiser hands over a tensor that is ready, in turns with one call of a small U-Net on as many images. Share: a call’s part of the sampling, by a call of the U-Net.',
  methods: {
    ...Object.fromEntries(Object.entries(fixedSamplers).map(([method, { variants }]) => [method, variants])),
    amed: [{}],
  },
  backends: ['wasm'],
  metrics: {
    share: { title: 'share of the network’s time', unit: 'fraction', better: 'lower' },
    sampler: { title: 'sampler, by call', unit: 'ms', better: 'lower' },
    network: { title: 'U-Net, by call', unit: 'ms', better: 'neither' },
  },
  seeds: 1,
  timing: true,
  sources: [...samplerSources, 'benchmarks/src/tasks/diffusion/overhead'],
  run: async (context) => (await import('./measure-overhead.ts')).measureOverhead(context),
})

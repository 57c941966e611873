/** What the results of every task on diffusion depend on beside its own folder. */
export const diffusionSources: readonly string[] = [
  'packages/core-gpu/assembly',
  'packages/core-gpu/src',
  'packages/diffusion/src/denoiser.ts',
  'packages/diffusion/src/grid.ts',
  'packages/diffusion/src/grids',
  'packages/diffusion/src/noise',
  'packages/diffusion/src/noise-level.ts',
  'packages/diffusion/src/sampler.ts',
  'packages/diffusion/src/schedule.ts',
  'packages/diffusion/src/schedules',
  'benchmarks/src/open-backend.ts',
]

/** And where samplers are measured. */
export const samplerSources: readonly string[] = [
  ...diffusionSources,
  'packages/diffusion/src/predictions',
  'packages/diffusion/src/samplers',
  'benchmarks/src/tasks/diffusion/fixed-samplers.ts',
  'benchmarks/src/tasks/diffusion/make-sampler.ts',
]

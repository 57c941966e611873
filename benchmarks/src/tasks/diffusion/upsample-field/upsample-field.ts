import { defineTask, type Task } from '../../../define-task.ts'
import { diffusionSources } from '../diffusion-sources.ts'
import { levels, metricOf } from './levels.ts'

/** What upsample guidance makes of a model of low resolution, where all is known exactly. */
export const upsampleField: Task = defineTask({
  id: 'diffusion/upsample-field',
  family: 'diffusion',
  title: 'Upsample guidance on a Gaussian field',
  summary:
    'Images of 16 × 16 of a Gaussian field, denoised by the exact model of 8 × 8: as it is (naive), and with upsample guidance, also without its shift of the level (tau) or its scale of power (P). Error: of the noise, squared and relative to the exact noise of 16 × 16.',
  methods: {
    naive: [{}],
    upsample: [
      { weight: 1, without: 'nothing' },
      { weight: 1.2, without: 'nothing' },
      { weight: 1, without: 'tau' },
      { weight: 1, without: 'P' },
    ],
  },
  backends: ['wasm'],
  metrics: Object.fromEntries(
    levels.map((level) => [
      metricOf(level),
      { title: `error at logSNR ${level}`, unit: 'relative', better: 'lower' as const },
    ]),
  ),
  seeds: 3,
  timing: false,
  sources: [
    ...diffusionSources,
    'packages/diffusion/src/distributions',
    'packages/diffusion/src/guidance',
    'benchmarks/src/tasks/diffusion/upsample-field',
  ],
  run: async (context) => (await import('./measure-fields.ts')).measureFields(context),
})

import { defineTask, type Task } from '../../../define-task.ts'
import { flowSamplers } from '../fixed-samplers.ts'
import { samplerSources } from '../diffusion-sources.ts'
import { fewCalls, reportedSteps } from './grids.ts'

/** How fast samplers come nearer to the exact end of the probability flow as they take more steps. */
export const order: Task = defineTask({
  id: 'diffusion/order',
  family: 'diffusion',
  title: 'Order of samplers',
  summary:
    'Samplers follow the exact score of a ring of eight Gaussians; their ends are compared with those of an integration in double precision, over trajectories that make nothing of small errors. Order: fitted over the finest two octaves of steps whose errors are ten times what float32 leaves. With few calls: the same on six scattered Gaussians and EDM’s grid.',
  methods: {
    ...Object.fromEntries(Object.entries(flowSamplers).map(([method, { variants }]) => [method, variants])),
    amed: [{}],
  },
  backends: ['wasm'],
  metrics: {
    order: { title: 'order', unit: 'order', better: 'higher' },
    ...Object.fromEntries(
      fewCalls.map((calls) => [
        `calls${calls}`,
        { title: `error, ${calls} calls`, unit: 'rmse', better: 'lower' as const },
      ]),
    ),
    ...Object.fromEntries(
      reportedSteps.map((steps) => [
        `steps${steps}`,
        { title: `error, ${steps} steps`, unit: 'rmse', better: 'lower' as const },
      ]),
    ),
  },
  seeds: 3,
  timing: false,
  sources: [...samplerSources, 'packages/diffusion/src/distributions', 'benchmarks/src/tasks/diffusion/order'],
  run: async (context) => (await import('./measure-order.ts')).measureOrder(context),
})

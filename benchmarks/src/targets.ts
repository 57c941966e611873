import { median } from './statistics.ts'
import { type ClaimDefinition, defineClaim, type Series } from './verdicts.ts'

interface Target {
  readonly id: string
  readonly claim: string
  readonly measured: string
  readonly series: Series
  readonly most?: number
  readonly least?: number
  /** of the figures; their ratio or size */
  readonly unit: string
}

/** A statement on the median of one figure. */
function target({ id, claim, measured, series, most, least, unit }: Target): ClaimDefinition {
  const bounds = [
    least === undefined ? [] : `at least ${least} ${unit}`,
    most === undefined ? [] : `at most ${most} ${unit}`,
  ]
  return defineClaim({
    id: `kernels-${id}`,
    claim,
    source: { title: '@x/core-gpu', where: 'our own target' },
    measured,
    series: { figure: series },
    condition: `a median of ${bounds.flat().join(' and ')}`,
    holds: ({ figure }) => median(figure) <= (most ?? Infinity) && median(figure) >= (least ?? -Infinity),
  })
}

const against = (task: string, method: string, metric: string, more: Partial<Series> = {}): Series => ({
  task: `kernels/${task}`,
  method,
  metric,
  peers: ['torch'],
  ...more,
})
const timeToTorch = 'time of a call over that of PyTorch with as many threads, in turns'
const timeOfStock = 'time of TensorFlow.js over that of our kernel, in turns'

/** What the kernels are to reach on a machine with two cores; each is judged by the stored results. */
export const targets: readonly ClaimDefinition[] = [
  target({
    id: 'nearest-code',
    claim: 'wasm: nearest of 8192 codes for 4096 vectors of 64, against cdist and argmin',
    measured: timeToTorch,
    series: against('nearest-code', 'euclidean', 'torchRatio'),
    most: 0.6,
    unit: 'x the time of PyTorch',
  }),
  target({
    id: 'nearest-code-memory',
    claim: 'wasm: memory of the nearest of 8192 codes for 4096 vectors of 64, against cdist and argmin',
    measured: 'rise of the resident memory during the first call, over that of PyTorch',
    series: against('nearest-code', 'euclidean', 'memoryRatio'),
    most: 0.05,
    unit: 'x the memory of PyTorch',
  }),
  target({
    id: 'matmul',
    claim: 'wasm: matrix product of 1024 rows',
    measured: timeOfStock,
    series: against('matmul', 'plain', 'speedup'),
    least: 2.5,
    unit: 'x as fast as TensorFlow.js',
  }),
  ...(['a-transposed', 'b-transposed', 'batched'] as const).map((form) =>
    target({
      id: `matmul-${form}`,
      claim: `wasm: matrix product, ${form.replace('-', ' ')}`,
      measured: timeOfStock,
      series: against('matmul', form, 'speedup'),
      least: 15,
      unit: 'x as fast as TensorFlow.js',
    }),
  ),
  target({
    id: 'conv2d',
    claim: 'wasm: convolution 3 x 3, 64 to 64 channels, with both gradients, 16 images of 32 x 32',
    measured: timeToTorch,
    series: against('conv2d', 'training', 'torchRatio'),
    most: 6,
    unit: 'x the time of PyTorch',
  }),
  ...(['forward', 'training'] as const).map((form) =>
    target({
      id: `attention-${form}`,
      claim: `wasm: causal attention 4 x 8 x 1024 x 64, ${form === 'forward' ? 'forward' : 'forward and backward'}`,
      measured: timeToTorch,
      series: against('attention', form, 'torchRatio'),
      most: 5,
      unit: 'x the time of PyTorch',
    }),
  ),
  target({
    id: 'attention-memory',
    claim: 'wasm: memory of causal attention over 16384 positions, one head of 64',
    measured: 'rise of the resident memory during the first call, output included',
    series: against('attention', 'forward', 'memory', { params: { batch: 1, heads: 1, length: 16384, dim: 64 } }),
    most: 64,
    unit: 'MB',
  }),
  target({
    id: 'digits-step',
    claim: 'wasm: training step of the digits autoencoder',
    measured: timeToTorch,
    series: against('digits-step', 'step', 'torchRatio'),
    most: 3,
    unit: 'x the time of PyTorch',
  }),
  target({
    id: 'nearest-code-tensorflow',
    claim: 'tensorflow: nearest of 8192 codes for 4096 vectors of 64, against cdist and argmin',
    measured: timeToTorch,
    series: against('nearest-code', 'euclidean', 'torchRatio', { backend: 'tensorflow' }),
    most: 0.6,
    unit: 'x the time of PyTorch',
  }),
  target({
    id: 'digits-step-tensorflow',
    claim: 'tensorflow: training step of the digits autoencoder',
    measured: timeToTorch,
    series: against('digits-step', 'step', 'torchRatio', { backend: 'tensorflow' }),
    most: 1.5,
    unit: 'x the time of PyTorch',
  }),
]

import type { MetricDescription } from '../../define-task.ts'

/** What is counted of the codes in every task on quantizers. */
export const codeMetrics: Record<string, MetricDescription> = {
  usage: { title: 'codes used', unit: 'fraction', better: 'higher' },
  perplexity: { title: 'perplexity', unit: 'codes', better: 'higher' },
  quantizationError: { title: 'quantization error', unit: 'squared distance', better: 'lower' },
  relativeError: { title: 'relative error', unit: 'fraction', better: 'lower' },
}

/** What the results of every such task depend on beside its own folder. */
export const quantizerSources: readonly string[] = [
  'packages/core-gpu/assembly',
  'packages/core-gpu/src',
  'packages/vq/src/adapters',
  'packages/vq/src/assignment',
  'packages/vq/src/codebooks',
  'packages/vq/src/estimators',
  'packages/vq/src/indices.ts',
  'packages/vq/src/initialisation',
  'packages/vq/src/losses',
  'packages/vq/src/masks.ts',
  'packages/vq/src/methods',
  'packages/vq/src/metric.ts',
  'packages/vq/src/metrics.ts',
  'packages/vq/src/options.ts',
  'packages/vq/src/quantizer.ts',
  'packages/vq/src/revival',
  'packages/vq/src/scalar',
  'packages/vq/src/step.ts',
  'packages/vq/src/structures',
  'benchmarks/src/open-backend.ts',
]

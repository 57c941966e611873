import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor, goldenValues } from '@x/core-gpu/testing'
import { expect } from 'vitest'
import { sinkhorn, type SinkhornOptions, transported } from '../assignment/transported.ts'
import { FreeCodebook } from '../codebooks/free.ts'
import { crossEntropyLoss } from '../losses/cross-entropy.ts'
import { diversityLoss } from '../losses/diversity.ts'
import { codebookLoss, commitmentLoss } from '../losses/losses.ts'
import { orthogonality, orthogonalLoss } from '../losses/orthogonal.ts'
import { wassersteinDistance } from '../losses/wasserstein.ts'
import { vq } from '../methods/vq/vq.ts'
import { cosine, euclidean } from '../metric.ts'
import { measureQuantizer } from '../metrics.ts'
import { CodebookQuantizer } from '../quantizer.ts'
import { exact, type GoldenCase } from './golden.ts'

/** The orthogonal loss and its gradient. */
export async function checkOrthogonality(c: GoldenCase): Promise<void> {
  const E = tf.variable(goldenTensor(c.inputs['E']!)) as unknown as tf.Tensor2D & tf.Variable
  const { loss, gradients } = valueAndGradients({ E }, () => ({ loss: orthogonality(E) }))
  await expectGolden('loss', loss, c.expected['loss']!, c.tolerance)
  if (c.expected['grad_E']) await expectGolden('grad_E', gradients['E']!, c.expected['grad_E'], c.tolerance)
}

/** The orthogonal loss of the codes in use. */
export async function checkOrthogonalActive(c: GoldenCase): Promise<void> {
  const E = goldenTensor(c.inputs['E']!)
  const weight = c.config['orthogonal_reg_weight'] as number
  const quantizer = new CodebookQuantizer({
    codebook: new FreeCodebook(E.shape[0]!, E.shape[1]!),
    losses: {
      commitment: commitmentLoss(c.config['commitment_weight'] as number),
      orthogonal: orthogonalLoss(weight, { activeOnly: true }),
    },
  })
  quantizer.load({ 'codes.weight': E })
  const { gradients, metrics } = valueAndGradients(quantizer.parameters(), () => {
    const { indices, loss, terms } = quantizer.quantize(goldenTensor(c.inputs['z']!), { training: true })
    return { loss, metrics: { indices, loss, orthogonal: tf.div(terms['orthogonal']!, weight) } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('orthogonal', metrics['orthogonal']!, c.expected['orthogonal_reg']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
}

/** The diversity loss, averaged over the first dimension as there. */
export async function checkDiversity(c: GoldenCase): Promise<void> {
  const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
  const directions = c.config['use_cosine_sim'] as boolean
  const metric = directions ? cosine : euclidean
  const quantizer = new CodebookQuantizer({
    codebook: new FreeCodebook(E.shape[0], E.shape[1], { metric }),
    metric,
    losses: {
      diversity: diversityLoss(1, {
        temperature: c.config['codebook_diversity_temperature'] as number,
        score: directions ? 'dot' : 'distance',
        average: 'batch',
      }),
    },
  })
  quantizer.load({ 'codes.weight': E })
  const z = tf.variable(goldenTensor(c.inputs['z']!))
  const { gradients, loss } = valueAndGradients({ z }, () => quantizer.quantize(z, { training: true }))
  await expectGolden('loss', loss, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
}

/** The distance of distributions and its gradient. */
export async function checkWasserstein(c: GoldenCase): Promise<void> {
  const E = tf.variable(goldenTensor<tf.Rank.R2>(c.inputs['E']!))
  const z = goldenTensor<tf.Rank.R2>(c.inputs['z']!)
  const { loss, gradients } = valueAndGradients({ E }, () => ({
    loss: wassersteinDistance(z, E as unknown as tf.Tensor2D, null),
  }))
  await expectGolden('loss', loss, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_E', gradients['E']!, c.expected['grad_E']!, c.tolerance)
}

/** The plan of optimal transport, and the quantizer around it. */
export async function checkOptvq(c: GoldenCase): Promise<void> {
  const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
  const z = goldenTensor(c.inputs['z']!)
  const rows = tf.reshape<tf.Rank.R2>(z, [-1, E.shape[1]])
  const { cost } = sinkhorn(rows, E, null, planOptions(c))
  await expectGolden('cost', cost(rows), c.expected['cost_normalized']!, c.tolerance)
  await expectGolden('plan', planOf(rows, E, null, planOptions(c)), c.expected['Q']!, c.tolerance)
  const quantizer = new CodebookQuantizer({
    codebook: new FreeCodebook(E.shape[0], E.shape[1]),
    assign: transported({ ...planOptions(c), draw: c.config['use_prob'] as boolean }),
    losses:
      c.config['loss_q_type'] === 'ce'
        ? { entropy: crossEntropyLoss() }
        : // Beta is on the codebook's term there.
          { commitment: commitmentLoss(1), codebook: codebookLoss(c.config['beta'] as number) },
  })
  quantizer.load({ 'codes.weight': E })
  const [variable, g] = [tf.variable(z), goldenTensor(c.inputs['g']!)]
  const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
    const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
}

/** Usage, perplexity and errors. */
export async function checkMetrics(c: GoldenCase): Promise<void> {
  const [z, E] = [goldenTensor<tf.Rank.R2>(c.inputs['z']!), goldenTensor<tf.Rank.R2>(c.inputs['E']!)]
  const quantizer = vq({ dim: E.shape[1], codebookSize: E.shape[0] })
  quantizer.load({ 'codes.weight': E })
  const { indices } = quantizer.quantize(z)
  await expectGolden('indices', indices, c.expected['indices']!, exact)
  // In uneven batches: what is counted must not depend on how the data comes.
  const found = await measureQuantizer(quantizer, [tf.slice(z, 0, 7), tf.slice(z, 7)])
  expect(Array.from(found.codebooks[0]!.counts)).toEqual(Array.from(goldenValues(c.expected['counts']!)))
  await expectGolden('usage', found.usage, c.expected['usage']!, c.tolerance)
  await expectGolden('perplexity', found.perplexity, c.expected['perplexity']!, c.tolerance)
  await expectGolden('error', found.quantizationError, c.expected['quantization_error_sum_dims']!, c.tolerance)
  await expectGolden('mse', found.meanSquaredError, c.expected['quantization_error_mse']!, c.tolerance)
  await expectGolden('relative error', found.relativeError, c.expected['relative_error']!, c.tolerance)
  expect(found.vectors).toBe(z.shape[0])
}

const planOptions = (c: GoldenCase): SinkhornOptions => ({
  epsilon: c.config['epsilon'] as number,
  iterations: c.config['n_iters'] as number,
  scale: c.config['normalize_mode'] === 'dim' ? 'dimension' : 'spread',
})

/** The plan itself, `[N, K]`. */
export function planOf(
  z: tf.Tensor2D,
  codes: tf.Tensor2D,
  counts: tf.Tensor1D | null,
  options: SinkhornOptions,
): tf.Tensor2D {
  const { codeWeights, rowWeights, cost } = sinkhorn(z, codes, counts, options)
  const kernel = tf.exp(tf.mul(-(options.epsilon ?? 10), cost(z)))
  return tf.mul(tf.mul(kernel, codeWeights), tf.expandDims(rowWeights, 1))
}

import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor, type GoldenTensor } from '@x/core-gpu/testing'
import { expect } from 'vitest'
import { RunningAffineCodebook } from '../codebooks/affine.ts'
import { EmaCodebook } from '../codebooks/ema.ts'
import { FreeCodebook } from '../codebooks/free.ts'
import { LinearCodebook } from '../codebooks/linear.ts'
import { estimator, straightThrough } from '../estimators/estimator.ts'
import { rotationTrick } from '../estimators/rotation.ts'
import { kMeans } from '../initialisation/k-means.ts'
import { codebookLoss, commitmentLoss } from '../losses/losses.ts'
import { simvq } from '../methods/simvq/simvq.ts'
import { vqEma } from '../methods/vq-ema/vq-ema.ts'
import { vq } from '../methods/vq/vq.ts'
import { cosine, euclidean, type Metric } from '../metric.ts'
import { CodebookQuantizer, type Quantizer } from '../quantizer.ts'
import { exact, type GoldenCase } from './golden.ts'

/** VQ by gradient. The peer’s loss is one mse with gradient to both sides: half the sum of our two terms at equal weight. */
export async function checkVqGradients(c: GoldenCase): Promise<void> {
  const weight = c.config['commitment_weight'] as number
  const sync = 1 + (c.config['sync_update_v'] as number)
  const through = c.config['rotation_trick'] ? rotationTrick() : straightThrough
  const [z, E, g] = [goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['E']!), goldenTensor(c.inputs['g']!)]
  const codebook = new FreeCodebook(E.shape[0]!, E.shape[1]!)
  const quantizer = new CodebookQuantizer({
    codebook,
    // Its synchronised update multiplies the encoder's gradient by 1 + v: the general estimator for G' = (1 + v) G.
    estimate: (x, q) => through(estimator((dy) => tf.mul(dy, sync))(x, x), q),
    losses: { codebook: codebookLoss(weight), commitment: commitmentLoss(weight) },
  })
  quantizer.load({ 'codes.weight': E })
  const variable = tf.variable(z)
  const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
    const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', tf.div(metrics['loss']!, 2), c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  const gradient = gradients['codes.weight'] ?? tf.zerosLike(E)
  await expectGolden('grad_E', gradient, c.expected['grad_E']!, c.tolerance)
}

/** The two terms with beta on either. */
export async function checkVqvaeLoss(c: GoldenCase): Promise<void> {
  const beta = c.config['beta'] as number
  const [z, E, g] = [goldenTensor(c.inputs['z_rows']!), goldenTensor(c.inputs['E']!), goldenTensor(c.inputs['g']!)]
  const [size, dim] = E.shape as [number, number]
  // The widely copied "legacy" form has beta on the codebook's term.
  const weights = c.config['legacy'] ? { commitment: 1, codebookWeight: beta } : { commitment: beta }
  const quantizer = vq({ dim, codebookSize: size, ...weights })
  quantizer.load({ 'codes.weight': E })
  const lastToFirst = (x: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(x, [1, 3, 4, dim]), [0, 3, 1, 2])
  const variable = tf.variable(tf.reshape(z, [1, 3, 4, dim]))
  const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
    const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, lastToFirst(quantized))), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', lastToFirst(metrics['quantized']!), c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', lastToFirst(gradients['z']!), c.expected['grad_z']!, c.tolerance)
  await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
}

/** Several steps of averaged codes, and what is quantized after them. */
export async function checkEma(c: GoldenCase): Promise<void> {
  const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
  const quantizer = vqEma({
    dim: E.shape[1],
    codebookSize: E.shape[0],
    metric: metricName(c),
    decay: c.config['decay'] as number,
    epsilon: c.config['eps'] as number,
    commitment: c.config['commitment_weight'] as number,
  })
  startAt(quantizer, E, metricOf(c))
  const steps = c.expected['steps'] as unknown as EmaStep[]
  for (const [i, step] of steps.entries()) {
    const z = goldenTensor(c.inputs[`z${i}`]!)
    const { indices, quantized, loss } = quantizer.quantize(z, { training: true })
    await expectGolden(`indices of step ${i}`, indices, step.indices, exact)
    await expectGolden(`quantized of step ${i}`, quantized, step.quantized!, c.tolerance)
    await expectGolden(`loss of step ${i}`, loss, { shape: [], values: [step.loss] }, c.tolerance)
    await expectState(quantizer, step, c)
  }
  const after = c.expected['eval_after'] as unknown as {
    indices: GoldenTensor
    quantized: GoldenTensor
    loss: number
  }
  const last = goldenTensor(c.inputs[`z${steps.length - 1}`]!)
  const { indices, quantized, loss } = quantizer.quantize(last)
  await expectGolden('indices afterwards', indices, after.indices, exact)
  await expectGolden('quantized afterwards', quantized, after.quantized, c.tolerance)
  await expectGolden('loss afterwards', loss, { shape: [], values: [after.loss] }, exact)
}

/** Steps in which dead codes are replaced, with the rows in order. */
export async function checkDeadCodes(c: GoldenCase): Promise<void> {
  const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
  const quantizer = vqEma({
    dim: E.shape[1],
    codebookSize: E.shape[0],
    metric: metricName(c),
    decay: c.config['decay'] as number,
    commitment: 1,
    deadCodes: {
      threshold: c.config['threshold_ema_dead_code'] as number,
      reset: c.config['reset_cluster_size'] as number,
      order: (rows) => Int32Array.from({ length: rows }, (_, i) => i),
    },
  })
  startAt(quantizer, E, metricOf(c))
  for (const [i, step] of (c.expected['steps'] as unknown as EmaStep[]).entries()) {
    const z = goldenTensor(c.inputs[`z${i}`]!)
    const { indices, loss } = quantizer.quantize(z, { training: true })
    await expectGolden(`indices of step ${i}`, indices, step.indices, exact)
    await expectGolden(`loss of step ${i}`, loss, { shape: [], values: [step.loss] }, c.tolerance)
    await expectState(quantizer, step, c)
  }
}

/** Clusters and their counts. */
export async function checkKMeans(c: GoldenCase): Promise<void> {
  const metric = metricOf(c)
  const z = goldenTensor<tf.Rank.R2>(c.inputs['z']!)
  const count = c.config['num_clusters'] as number
  const given = c.inputs['init']
  const start = given ? goldenTensor<tf.Rank.R2>(given) : tf.tidy(() => tf.slice(metric.project(z), 0, count))
  const { means, counts } = kMeans(z, count, { iterations: c.config['num_iters'] as number, metric, start })
  await expectGolden('means', means, c.expected['means']!, c.tolerance)
  await expectGolden('counts', counts, c.expected['bins']!, exact)
}

/** Codes placed by k-means, then a step with them. */
export async function checkKMeansInit(c: GoldenCase): Promise<void> {
  const metric = metricOf(c)
  const z = goldenTensor<tf.Rank.R3>(c.inputs['z']!)
  const [dim, size] = [c.config['dim'] as number, c.config['codebook_size'] as number]
  const rows = tf.reshape<tf.Rank.R2>(z, [-1, dim])
  const start = tf.slice(metric.project(rows), 0, size)
  const { means, counts } = kMeans(rows, size, { iterations: c.config['kmeans_iters'] as number, metric, start })
  const codebook = new EmaCodebook(size, dim, { metric })
  codebook.place(means, counts)
  await expectGolden('codes', codebook.weight, c.expected['embed']!, c.tolerance)
  await expectGolden('cluster size', codebook.clusterSize, c.expected['cluster_size']!, c.tolerance)
  await expectGolden('cluster sum', codebook.clusterSum, c.expected['embed_avg']!, c.tolerance)
  const quantizer = vqEma({ dim, codebookSize: size, metric: metricName(c), commitment: 1 })
  quantizer.load(Object.fromEntries(Object.entries(codebook.state()).map(([name, x]) => [`codes.${name}`, x])))
  const { indices, quantized, loss } = quantizer.quantize(z, { training: true })
  await expectGolden('indices', indices, c.expected['indices']!, exact)
  await expectGolden('quantized', quantized, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', loss, c.expected['loss']!, c.tolerance)
}

/** SimVQ: codes, values, gradients, decoding, and a step of the map. */
export async function checkSimvq(c: GoldenCase): Promise<void> {
  const [z, g] = [goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['g']!)]
  const diagonal = (c.config['transform'] as string).startsWith('diagonal')
  const weight = c.config['commitment_weight'] as number
  const quantizer = simvq({
    dim: c.config['dim'] as number,
    codebookSize: c.config['codebook_size'] as number,
    codeDim: c.config['frozen_codebook_dim'] as number,
    transform: diagonal ? 'diagonal' : 'linear',
    bias: c.config['bias'] as boolean,
    trainableCodes: c.config['train_codebook'] as boolean,
    codebookWeight: weight,
    commitment: weight * (c.config['input_to_quantize_commit_loss_weight'] as number),
    ...(c.config['rotation_trick'] ? { estimator: rotationTrick() } : {}),
  })
  const map = diagonal ? 'codes.transform.scale' : 'codes.transform.weight'
  quantizer.load({
    'codes.basis': goldenTensor(c.inputs['C']!),
    [map]: goldenTensor(c.inputs['W']!),
    ...(c.inputs['bias'] ? { 'codes.transform.bias': goldenTensor(c.inputs['bias']) } : {}),
  })
  await expectGolden('codebook', quantizer.codebook(), c.expected['effective_codebook']!, c.tolerance)
  const variable = tf.variable(z)
  const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
    const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('grad_W', gradients[map]!, c.expected['grad_W']!, c.tolerance)
  if (c.expected['grad_bias'])
    await expectGolden('grad_bias', gradients['codes.transform.bias']!, c.expected['grad_bias'], c.tolerance)
  if (c.expected['grad_C']) await expectGolden('grad_C', gradients['codes.basis']!, c.expected['grad_C'], c.tolerance)
  else expect(gradients).not.toHaveProperty('codes.basis')
  await expectGolden('decoded', quantizer.decode(metrics['indices']!), c.expected['codes_of_indices']!, c.tolerance)
  // The recorded step is one of the map alone.
  for (const [name, parameter] of Object.entries(quantizer.parameters()))
    if (name !== 'codes.basis') parameter.assign(tf.sub(parameter, tf.mul(0.1, gradients[name]!)))
  const after = c.expected['effective_codebook_after_sgd_0.1']!
  await expectGolden('codebook after a step', quantizer.codebook(), after, c.tolerance)
}

/** SimVQ as the authors’ code has it, in either form of the loss. */
export async function checkSimvqOfficial(c: GoldenCase): Promise<void> {
  const [z, g] = [goldenTensor(c.inputs['z_rows']!), goldenTensor(c.inputs['g']!)]
  const C = goldenTensor<tf.Rank.R2>(c.inputs['C']!)
  const [size, dim] = C.shape
  const beta = c.config['beta'] as number
  const weights = c.config['legacy'] ? { commitment: 1, codebookWeight: beta } : { commitment: beta }
  const quantizer = simvq({ dim, codebookSize: size, ...weights })
  quantizer.load({
    'codes.basis': C,
    'codes.transform.weight': goldenTensor(c.inputs['W']!),
    'codes.transform.bias': goldenTensor(c.inputs['bias']!),
  })
  const lastToFirst = (x: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(x, [1, 3, 4, dim]), [0, 3, 1, 2])
  const variable = tf.variable(tf.reshape(z, [1, 3, 4, dim]))
  const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
    const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, lastToFirst(quantized))), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', lastToFirst(metrics['quantized']!), c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', lastToFirst(gradients['z']!), c.expected['grad_z']!, c.tolerance)
  await expectGolden('grad_W', gradients['codes.transform.weight']!, c.expected['grad_W']!, c.tolerance)
  await expectGolden('grad_bias', gradients['codes.transform.bias']!, c.expected['grad_bias']!, c.tolerance)
}

/** Steps of codes moved by running statistics. */
export async function checkAffine(c: GoldenCase): Promise<void> {
  const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
  const inner = new EmaCodebook(E.shape[0], E.shape[1], {
    decay: c.config['decay'] as number,
    init: () => goldenTensor(c.inputs['E']!),
  })
  const codebook = new RunningAffineCodebook(inner, {
    batchDecay: c.config['affine_param_batch_decay'] as number,
    codebookDecay: c.config['affine_param_codebook_decay'] as number,
  })
  const quantizer = new CodebookQuantizer({ codebook, losses: { commitment: commitmentLoss(1) } })
  for (const [i, step] of (c.expected['steps'] as unknown as AffineStep[]).entries()) {
    const z = goldenTensor(c.inputs[`z${i}`]!)
    const { indices, quantized, loss } = quantizer.quantize(z, { training: true })
    const state = quantizer.state()
    await expectGolden('indices', indices, step['indices']!, exact)
    await expectGolden('quantized', quantized, step['quantized']!, c.tolerance)
    await expectGolden('loss', loss, step.loss, c.tolerance)
    await expectGolden('batch mean', state['codes.batchMean']!, step['batch_mean']!, c.tolerance)
    await expectGolden('batch variance', state['codes.batchVariance']!, step['batch_variance']!, c.tolerance)
    await expectGolden('codebook mean', state['codes.codebookMean']!, step['codebook_mean']!, c.tolerance)
    await expectGolden('codebook variance', state['codes.codebookVariance']!, step['codebook_variance']!, c.tolerance)
    await expectGolden('codes under the map', state['codes.inner.weight']!, step['embed']!, c.tolerance)
    await expectGolden('cluster size', state['codes.inner.clusterSize']!, step['cluster_size']!, c.tolerance)
  }
}

/** Trained codes under a trained map. The peer’s loss is half the sum of our two terms at equal weight. */
export async function checkBridge(c: GoldenCase): Promise<void> {
  const [z, g] = [goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['g']!)]
  const [dim, size] = [c.config['dim'] as number, c.config['codebook_size'] as number]
  const weight = c.config['commitment_weight'] as number
  const quantizer = new CodebookQuantizer({
    codebook: new LinearCodebook(size, dim, { trainable: true }),
    losses: { codebook: codebookLoss(weight), commitment: commitmentLoss(weight) },
  })
  quantizer.load({
    'codes.basis': goldenTensor(c.inputs['E']!),
    'codes.transform.weight': goldenTensor(c.inputs['W']!),
    'codes.transform.bias': goldenTensor(c.inputs['bias']!),
  })
  await expectGolden('codebook', quantizer.codebook(), c.expected['effective_codebook']!, c.tolerance)
  const variable = tf.variable(z)
  const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
    const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', tf.div(metrics['loss']!, 2), c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('grad_E', gradients['codes.basis']!, c.expected['grad_E']!, c.tolerance)
  await expectGolden('grad_W', gradients['codes.transform.weight']!, c.expected['grad_W']!, c.tolerance)
  await expectGolden('grad_bias', gradients['codes.transform.bias']!, c.expected['grad_bias']!, c.tolerance)
}

interface EmaStep {
  readonly indices: GoldenTensor
  readonly quantized?: GoldenTensor
  readonly loss: number
  readonly embed: GoldenTensor
  readonly cluster_size: GoldenTensor
  readonly embed_avg: GoldenTensor
}

const metricOf = (c: GoldenCase): Metric => (c.config['use_cosine_sim'] ? cosine : euclidean)
const metricName = (c: GoldenCase): 'cosine' | 'euclidean' => (c.config['use_cosine_sim'] ? 'cosine' : 'euclidean')

/** Starts as the reference does: sizes 1, sums equal to the codes. */
export function startAt(quantizer: Quantizer, E: tf.Tensor2D, metric: Metric): void {
  const codes = metric.project(E)
  const sizes = tf.ones([E.shape[0]])
  const rest = Object.entries(quantizer.state()).filter(([name]) => !name.startsWith('codes.'))
  quantizer.load({
    ...Object.fromEntries(rest),
    'codes.weight': codes,
    'codes.clusterSum': codes,
    'codes.clusterSize': sizes,
  })
  tf.dispose([codes, sizes])
}

async function expectState(quantizer: Quantizer, step: EmaStep, c: GoldenCase): Promise<void> {
  const state = quantizer.state()
  await expectGolden('codes', state['codes.weight']!, step.embed, c.tolerance)
  await expectGolden('cluster size', state['codes.clusterSize']!, step.cluster_size, c.tolerance)
  await expectGolden('cluster sum', state['codes.clusterSum']!, step.embed_avg, c.tolerance)
}

type AffineStep = Record<string, GoldenTensor> & { readonly loss: number }

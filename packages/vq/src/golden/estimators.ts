import * as tf from '@tensorflow/tfjs-core'
import { lookup, valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { expect } from 'vitest'
import { nearest } from '../assignment/nearest.ts'
import { sampleCodes } from '../assignment/sampled.ts'
import { distanceScore } from '../assignment/scores.ts'
import { FreeCodebook } from '../codebooks/free.ts'
import { directional, noiseSubstitution } from '../estimators/directional.ts'
import { straightThrough, straightThroughWith, synchronised } from '../estimators/estimator.ts'
import { rotateTo, rotationTrick } from '../estimators/rotation.ts'
import { softOneHot } from '../estimators/soft-index.ts'
import { ditheredCodes, spaceFilling } from '../estimators/space-filling.ts'
import { codebookLoss, commitmentLoss } from '../losses/losses.ts'
import { ibq } from '../methods/ibq/ibq.ts'
import { CodebookQuantizer } from '../quantizer.ts'
import { exact, expectGoldenPull, type GoldenCase } from './golden.ts'

/** The rotation as published, and the estimator of the same gradient, whose value is the code itself. */
export async function checkRotateTo(c: GoldenCase): Promise<void> {
  const [z, q, g] = ['z', 'q', 'g'].map((name) => goldenTensor(c.inputs[name]!))
  const [out, gradient] = pull((x) => rotateTo(x, q!), z as tf.Tensor2D, g!)
  await expectGolden('out', out, c.expected['out']!, c.tolerance)
  await expectGolden('gradient', gradient, c.expected['vjp_z']!, c.tolerance)
  // The estimator has the same gradient, but gives the code itself.
  const [estimated, pulled] = pull((x) => rotationTrick()(x, rows(q!)), rows(z!), rows(g!))
  expect(await estimated.data()).toEqual(await q!.data())
  await expectGolden('estimator gradient', tf.reshape(pulled, gradient.shape), c.expected['vjp_z']!, c.tolerance)
}

/** Straight-through for any matrix. */
export async function checkGeneralSte(c: GoldenCase): Promise<void> {
  const [z, q, G, g] = ['z', 'q', 'G', 'g'].map((name) => goldenTensor(c.inputs[name]!))
  const [out, gradient] = pull((x) => straightThroughWith(() => G!)(x, q as tf.Tensor2D), z as tf.Tensor2D, g!)
  await expectGolden('out', out, c.expected['out']!, c.tolerance)
  await expectGolden('gradient', gradient, c.expected['vjp_z']!, c.tolerance)
}

/** The synchronised update, with the paper’s weights of the two terms. */
export async function checkSynchronised(c: GoldenCase): Promise<void> {
  const [z, E, g] = [goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['E']!), goldenTensor(c.inputs['g']!)]
  const beta = c.config['beta'] as number
  const quantizer = new CodebookQuantizer({
    codebook: new FreeCodebook(E.shape[0]!, E.shape[1]!),
    estimate: synchronised(straightThrough, c.config['nu'] as number),
    losses: { codebook: codebookLoss(beta), commitment: commitmentLoss(1 - beta) },
  })
  quantizer.load({ 'codes.weight': E })
  const variable = tf.variable(z)
  const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
    const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('zq', metrics['quantized']!, c.expected['zq']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
}

/** DiVeQ, in the peer’s and in the authors’ form. */
export async function checkDirectional(c: GoldenCase): Promise<void> {
  // The authors' code takes what it calls the variance for the standard deviation.
  const variance = c.config['noise_variance'] as number | undefined
  const deviation = variance === undefined ? (c.config['noise_var'] as number) : Math.sqrt(variance)
  const noise = tf.mul(goldenTensor<tf.Rank.R2>(c.inputs['noise']!), deviation) as tf.Tensor2D
  const indices = nearest(goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['E']!))
  await expectGolden('indices', indices, c.expected['indices']!, exact)
  await expectGoldenPull(c, (z, E) => directional(z, lookup(E, indices) as tf.Tensor2D, noise))
}

/** NSVQ. */
export async function checkNoiseSubstitution(c: GoldenCase): Promise<void> {
  const noise = goldenTensor<tf.Rank.R2>(c.inputs['noise']!)
  const indices = nearest(goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['E']!))
  await expectGolden('indices', indices, c.expected['indices']!, exact)
  await expectGoldenPull(c, (z, E) => noiseSubstitution(z, lookup(E, indices) as tf.Tensor2D, noise))
}

/** SF-DiVeQ, with dither and noise given. */
export async function checkSpaceFilling(c: GoldenCase): Promise<void> {
  const dither = goldenTensor<tf.Rank.R2>(c.inputs['dither']!)
  const noise = ['noise1', 'noise2'].map((name) =>
    tf.mul(goldenTensor<tf.Rank.R2>(c.inputs[name]!), c.config['noise_sd'] as number),
  ) as [tf.Tensor2D, tf.Tensor2D]
  const segments = nearest(goldenTensor(c.inputs['z']!), ditheredCodes(goldenTensor(c.inputs['E']!), dither))
  await expectGolden('indices', segments, c.expected['indices']!, exact)
  await expectGoldenPull(c, (z, E) => spaceFilling(z, E, segments, dither, noise))
}

/** Index backpropagation: values, losses, gradients. */
export async function checkIbq(c: GoldenCase): Promise<void> {
  const rows = goldenTensor<tf.Rank.R2>(c.inputs['z_rows']!)
  const [E, g] = [goldenTensor(c.inputs['E']!), goldenTensor(c.inputs['g']!)]
  const [size, dim] = E.shape as [number, number]
  const [samples, , height, width] = g.shape as [number, number, number, number]
  const toFirst = (x: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(x, [samples, height, width, dim]), [0, 3, 1, 2])
  const quantizer = ibq({ dim, codebookSize: size, codebookWeight: c.config['beta'] as number })
  quantizer.load({ 'codes.weight': E })
  const z = tf.variable(rows)
  const { gradients, metrics } = valueAndGradients({ z, ...quantizer.parameters() }, () => {
    const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, toFirst(quantized))), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', toFirst(metrics['quantized']!), c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', toFirst(gradients['z']!), c.expected['grad_z']!, c.tolerance)
  await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
}

/** Gumbel-softmax: scores, draws with noise given, the gradient without it. */
export async function checkGumbel(c: GoldenCase): Promise<void> {
  const flat = (name: string): tf.Tensor2D => {
    const x = goldenTensor(c.inputs[name]!)
    return tf.reshape<tf.Rank.R2>(x, [-1, x.shape.at(-1)!])
  }
  const [z, E, noise, g] = ['z', 'E', 'noise', 'g'].map(flat) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
  const temperature = c.config['temperature'] as number
  const logits = distanceScore(z, E)
  const like = (x: tf.Tensor, name: string): tf.Tensor => tf.reshape(x, [...c.expected[name]!.shape])
  await expectGolden('logits', like(logits, 'logits'), c.expected['logits']!, c.tolerance)
  const indices = sampleCodes(z, E, noise, { temperature })
  await expectGolden('indices', like(indices, 'indices'), c.expected['indices']!, exact)
  const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(g, softOneHot(x as tf.Tensor2D, indices, temperature))))(
    logits,
  )
  await expectGolden('grad_logits', like(gradient, 'grad_logits'), c.expected['grad_logits']!, c.tolerance)
}

/** `[value, gradient at z for the gradient g at the value]` */
export function pull(f: (z: tf.Tensor2D) => tf.Tensor, z: tf.Tensor2D, g: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => tf.sum(tf.mul(f(x as tf.Tensor2D), g)))(z)
  value.dispose()
  return [f(z), grad]
}

const rows = (x: tf.Tensor): tf.Tensor2D => tf.reshape(x, [-1, x.shape.at(-1)!])

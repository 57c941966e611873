import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { rotationTrick } from '../estimators/rotation.ts'
import { groupedResidualVq } from '../methods/grouped-residual-vq/grouped-residual-vq.ts'
import { multiHeadVq } from '../methods/multi-head-vq/multi-head-vq.ts'
import { residualVq } from '../methods/residual-vq/residual-vq.ts'
import { cosine, euclidean } from '../metric.ts'
import type { Quantizer } from '../quantizer.ts'
import { exact, type GoldenCase, permuted } from './golden.ts'

/** Puts running-mean codebooks where the reference starts: sizes 1, sums equal to the codes, by the path of each. */
function startAt(quantizer: Quantizer, codebooks: Readonly<Record<string, tf.Tensor2D>>): void {
  tf.tidy(() => {
    const state = { ...quantizer.state() }
    for (const [path, codes] of Object.entries(codebooks)) {
      state[`${path}.weight`] = codes
      state[`${path}.clusterSum`] = codes
      state[`${path}.clusterSize`] = tf.ones([codes.shape[0]])
    }
    quantizer.load(state)
  })
}

/** Residual quantization with a codebook per layer, gradients and losses layer by layer. */
export async function checkResidualVq(c: GoldenCase): Promise<void> {
  const [layers, metric] = [c.config['num_quantizers'] as number, c.config['use_cosine_sim'] ? 'cosine' : 'euclidean']
  const quantizer = residualVq({
    dim: c.config['dim'] as number,
    codebookSize: c.config['codebook_size'] as number,
    layers,
    // As the reference has it: layers' gradients add up.
    estimate: 'layers',
    gradientFraction: c.config['quant_grad_frac'] as number,
    metric: metric as 'cosine' | 'euclidean',
    commitment: c.config['commitment_weight'] as number,
    decay: c.config['decay'] as number,
    shared: c.config['shared_codebook'] as boolean,
    ...(c.config['rotation_trick'] ? { estimator: rotationTrick() } : {}),
  })
  const project = (metric === 'cosine' ? cosine : euclidean).project
  const shared = c.config['shared_codebook'] as boolean
  startAt(
    quantizer,
    Object.fromEntries(
      Array.from({ length: shared ? 1 : layers }, (_, l) => [
        `layers.${l}.codes`,
        project(goldenTensor<tf.Rank.R2>(c.inputs[`E${l}`]!)),
      ]),
    ),
  )
  const [z, training] = [tf.variable(goldenTensor(c.inputs['z']!)), c.config['training'] as boolean]
  const g = goldenTensor(c.inputs['g']!)
  const { gradients, metrics } = valueAndGradients({ z }, () => {
    const freeze = c.config['freeze_codebook'] as boolean
    const { quantized, indices, loss, terms } = quantizer.quantize(z, { training, freeze })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, ...terms } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  const lost = Array.from({ length: layers }, (_, l) => metrics[`layers.${l}.commitment`] ?? tf.scalar(0))
  await expectGolden('losses', tf.stack(lost), c.expected['losses']!, c.tolerance)
  if (c.expected['grad_z']) await expectGolden('grad_z', gradients['z']!, c.expected['grad_z'], c.tolerance)
  if (c.expected['decoded'])
    await expectGolden('decoded', quantizer.decode(metrics['indices']!), c.expected['decoded'], c.tolerance)
  if (c.expected['all_codes']) {
    const codebook = quantizer.codebook()
    const codes = Array.from({ length: layers }, (_, l) => {
      const own = tf.slice(codebook, [l, 0, 0], [1, -1, -1])
      const chosen = tf.slice(metrics['indices']!, [0, 0, l], [-1, -1, 1])
      return tf.gather(tf.squeeze(own, [0]), tf.squeeze(chosen, [2]))
    })
    await expectGolden('codes', tf.stack(codes), c.expected['all_codes'], c.tolerance)
  }
  const state = quantizer.state()
  for (const [name, entry] of [
    ['embed', 'weight'],
    ['cluster_size', 'clusterSize'],
    ['embed_avg', 'clusterSum'],
  ] as const)
    if (c.expected[name]) await expectGolden(name, state[`layers.0.codes.${entry}`]!, c.expected[name], c.tolerance)
}

/** Grouped residual quantization; the reference lists groups first. */
export async function checkGroupedResidualVq(c: GoldenCase): Promise<void> {
  const [groups, layers] = [c.config['groups'] as number, c.config['num_quantizers'] as number]
  const quantizer = groupedResidualVq({
    dim: c.config['dim'] as number,
    codebookSize: c.config['codebook_size'] as number,
    groups,
    layers,
    commitment: 1,
  })
  const codebooks: Record<string, tf.Tensor2D> = {}
  for (let g = 0; g < groups; g++)
    for (let l = 0; l < layers; l++)
      codebooks[`groups.${g}.layers.${l}.codes`] = goldenTensor<tf.Rank.R2>(c.inputs[`E_${g}_${l}`]!)
  startAt(quantizer, codebooks)
  const z = goldenTensor(c.inputs['z']!)
  const training = c.config['training'] as boolean
  const { quantized, indices, terms } = quantizer.quantize(z, { training, freeze: true })
  const wanted = permuted(c.expected['indices']!, [1, 2, 0, 3])
  await expectGolden('indices', tf.reshape(indices, wanted.shape), wanted, exact)
  await expectGolden('quantized', quantized, c.expected['quantized']!, c.tolerance)
  const lost = tf.stack(Object.keys(codebooks).map((path) => terms[path.replace(/codes$/, 'commitment')]!))
  await expectGolden('losses', tf.reshape(lost, [groups, layers]), c.expected['losses']!, c.tolerance)
  await expectGolden('decoded', quantizer.decode(indices), c.expected['decoded']!, c.tolerance)
}

/** Heads with one codebook or each with its own, in training with codes as they are, and outside it. */
export async function checkMultiHead(c: GoldenCase): Promise<void> {
  const [heads, separate] = [c.config['heads'] as number, c.config['separate_codebook_per_head'] as boolean]
  const metric = c.config['use_cosine_sim'] ? 'cosine' : 'euclidean'
  const quantizer = multiHeadVq({
    dim: c.config['dim'] as number,
    codebookSize: c.config['codebook_size'] as number,
    heads,
    separate,
    metric,
    decay: c.config['decay'] as number,
    commitment: 1,
  })
  const project = (metric === 'cosine' ? cosine : euclidean).project
  const E = goldenTensor(c.inputs['E']!)
  const own = separate ? tf.unstack(E) : [E]
  const paths = own.map((_, h) => (separate ? `groups.${h}.codes` : 'head.codes'))
  startAt(quantizer, Object.fromEntries(paths.map((path, h) => [path, project(own[h] as tf.Tensor2D)])))
  const z = goldenTensor(c.inputs['z']!)
  const stepped = quantizer.quantize(z, { training: true, freeze: true })
  await expectGolden('indices', stepped.indices, c.expected['indices']!, exact)
  await expectGolden('quantized', stepped.quantized, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', stepped.loss, c.expected['loss']!, c.tolerance)
  const state = quantizer.state()
  const stacked = (entry: string): tf.Tensor => {
    const parts = paths.map((path) => state[`${path}.${entry}`]!)
    return separate ? tf.stack(parts) : parts[0]!
  }
  await expectGolden('codes', stacked('weight'), c.expected['embed']!, c.tolerance)
  await expectGolden('sizes', stacked('clusterSize'), c.expected['cluster_size']!, c.tolerance)
  const after = quantizer.quantize(z)
  await expectGolden('quantized after', after.quantized, c.expected['eval_quantized']!, c.tolerance)
  await expectGolden('decoded', quantizer.decode(stepped.indices), c.expected['codes_of_indices']!, c.tolerance)
}

import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { bsq } from '../methods/bsq/bsq.ts'
import { lfq, type LfqOptions } from '../methods/lfq/lfq.ts'
import { meanDistribution } from '../scalar/entropy.ts'
import { exact, type GoldenCase } from './golden.ts'

/** Lookup-free quantization against the reference: values, indices, each loss, gradients, decoding. */
export async function checkLfq(c: GoldenCase): Promise<void> {
  const options = optionsOf(c)
  const quantizer = lfq(options)
  const [z, g] = [tf.variable(goldenTensor(c.inputs['z']!)), goldenTensor(c.inputs['g']!)]
  const { gradients, metrics } = valueAndGradients({ z }, () => {
    const { quantized, indices, loss, terms } = quantizer.quantize(z, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss, ...terms } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['aux_loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('decoded', quantizer.decode(metrics['indices']!), c.expected['decoded']!, c.tolerance)
  const outside = quantizer.quantize(z)
  await expectGolden('quantized outside training', outside.quantized, c.expected['eval_quantized']!, c.tolerance)
  await expectGolden('loss outside training', outside.loss, c.expected['eval_loss']!, exact)
  // The entropies by themselves, from the difference that two weights of diversity make.
  const entropyAt = (diversity: number): tf.Tensor => {
    const { softplusOffset: _, ...plain } = options
    return lfq({ ...plain, entropyWeight: 1, diversity }).quantize(z, { training: true }).terms['entropy']!
  }
  await expectGolden('per-sample entropy', entropyAt(0), c.expected['per_sample_entropy']!, c.tolerance)
  const ofMean = tf.sub(entropyAt(0), entropyAt(1))
  await expectGolden('batch entropy', ofMean, c.expected['batch_entropy']!, c.tolerance)
  if (options.commitment)
    await expectGolden(
      'commitment',
      tf.div(metrics['commitment']!, options.commitment),
      c.expected['commitment']!,
      c.tolerance,
    )
}

/** The reference's own names, as options of ours. */
function optionsOf({ config }: GoldenCase): LfqOptions {
  const number = (name: string, otherwise: number): number => (config[name] as number | undefined) ?? otherwise
  const codebooks = number('num_codebooks', 1)
  const most = config['soft_clamp_input_value'] as number | undefined
  return {
    bits: number('dim', 0) / codebooks,
    codebooks,
    inverseTemperature: number('inv_temperature', 100),
    scale: number('codebook_scale', 1),
    entropyWeight: number('entropy_loss_weight', 0.1),
    diversity: number('diversity_gamma', 1),
    commitment: number('commitment_loss_weight', 0),
    spherical: (config['spherical'] as boolean | undefined) ?? false,
    ...(most !== undefined && { softClamp: most }),
    ...(config['experimental_softplus_entropy_loss'] === true && { softplusOffset: number('entropy_loss_offset', 5) }),
  }
}

/** Binary spherical quantization against the authors' code, with indices by groups and the mean distribution. */
export async function checkBsq(c: GoldenCase): Promise<void> {
  const [bits, groupSize] = [c.config['embed_dim'] as number, c.config['group_size'] as number]
  const [normalise, tau] = [c.config['l2_norm'] as boolean, c.config['inv_temperature'] as number]
  const entropy = c.config['persample_entropy_compute'] as 'group' | 'analytical'
  const options = { bits, groupSize, normalise, entropy, inverseTemperature: tau }
  const weights = { certainty: c.config['gamma0'] as number, diversity: c.config['gamma'] as number }
  const [zeta, beta] = [c.config['zeta'] as number, c.config['beta'] as number]
  const quantizer = bsq({ ...options, ...weights, entropyWeight: zeta, commitment: beta })
  const [z, g] = [tf.variable(goldenTensor(c.inputs['z']!)), goldenTensor(c.inputs['g']!)]
  const { gradients, metrics } = valueAndGradients({ z }, () => {
    const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  const alone = (certainty: number, diversity: number): tf.Tensor => {
    const { terms } = bsq({ ...options, certainty, diversity, entropyWeight: tau }).quantize(z, { training: true })
    return terms['entropy']!
  }
  await expectGolden('per-sample entropy', alone(1, 0), c.expected['per_sample_entropy']!, c.tolerance)
  await expectGolden('codebook entropy', tf.neg(alone(0, 1)), c.expected['codebook_entropy']!, c.tolerance)
  // The indices of groups are the digits of the whole index.
  const groups = c.expected['group_indices'] as { shape: number[]; values: number[] }
  const split = bsq({ bits: groupSize, codebooks: bits / groupSize, normalise })
  const { indices } = split.quantize(z)
  const shape = bits === groupSize ? groups.shape.slice(0, -1) : groups.shape
  await expectGolden('group indices', indices, { ...groups, shape }, exact)
  // The mean distribution; the authors list each bit's lower code first where they go bit by bit.
  const rows = tf.reshape<tf.Rank.R2>(z, [-1, bits])
  const unit = normalise ? tf.div(rows, tf.norm(rows, 2, 1, true)) : rows
  const logits = tf.mul(unit, 4 * tau * (normalise ? bits ** -0.5 : 1)) as tf.Tensor2D
  const share = tf.fill([rows.shape[0]], 1 / rows.shape[0]) as tf.Tensor1D
  const mean = meanDistribution(logits, share, entropy === 'analytical' ? 1 : groupSize)
  await expectGolden('mean distribution', mean, c.expected['avg_prob']!, c.tolerance)
}

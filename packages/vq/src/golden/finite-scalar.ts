import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '@x/core-gpu'
import { demand, expectGolden, goldenTensor, goldenValues } from '@x/core-gpu/testing'
import { fsp } from '../methods/fsp/fsp.ts'
import { fsq } from '../methods/fsq/fsq.ts'
import { ifsq } from '../methods/ifsq/ifsq.ts'
import { latentQuantization } from '../methods/latent-quantization/latent-quantization.ts'
import { residualFsq } from '../methods/residual-fsq/residual-fsq.ts'
import { makeBound, sigmoidBound } from '../scalar/bounds.ts'
import { mixedRadix } from '../scalar/mixed-radix.ts'
import type { DistributionName } from '../scalar/distributions.ts'
import type { MomentWeights } from '../scalar/moments.ts'
import { exact, type GoldenCase, permuted } from './golden.ts'

/** Finite scalar quantization against the reference: values, indices, gradients, decoding, the codebook. */
export async function checkFsq(c: GoldenCase): Promise<void> {
  const levels = c.config['levels'] as number[]
  const symmetric = c.config['preserve_symmetry'] as boolean
  const bound = symmetric ? 'symmetric' : 'atanh'
  const quantizer = fsq({ levels, bound, codebooks: c.config['num_codebooks'] as number })
  const [z, g] = [tf.variable(goldenTensor(c.inputs['z']!)), goldenTensor(c.inputs['g']!)]
  const { gradients, metrics } = valueAndGradients({ z }, () => {
    const { quantized, indices } = quantizer.quantize(z, { training: true })
    return { loss: tf.sum(tf.mul(g, quantized)), metrics: { quantized, indices } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('decoded', quantizer.decode(metrics['indices']!), c.expected['decoded']!, c.tolerance)
  if (c.expected['implicit_codebook'])
    await expectGolden('codebook', quantizer.codebook(), c.expected['implicit_codebook'], c.tolerance)
  demand(Object.is(quantizer.codebookSize, c.expected['codebook_size']), `codebook size: got ${quantizer.codebookSize}`)
  const { basis } = mixedRadix(levels)
  demand(JSON.stringify(basis) === JSON.stringify(c.expected['basis']), `basis: got [${basis.join(', ')}]`)
  // Before rounding the reference counts from the middle level, and adds one half in the symmetric form.
  const position = makeBound(bound, levels).position(tf.reshape(z, [-1, levels.length]))
  const centred = symmetric
    ? tf.add(position, 0.5)
    : tf.sub(
        position,
        levels.map((L) => Math.floor(L / 2)),
      )
  const wanted = { shape: centred.shape, values: Array.from(goldenValues(c.expected['pre_round']!)) }
  await expectGolden('pre_round', centred, wanted, c.tolerance)
}

/** The bound as the paper's listing has it. */
export async function checkFsqTan(c: GoldenCase): Promise<void> {
  const levels = c.config['levels'] as number[]
  const quantizer = fsq({ levels, bound: 'tan' })
  const z = goldenTensor(c.inputs['z']!)
  const middle = levels.map((L) => Math.floor(L / 2))
  const bound = makeBound('tan', levels)
  await expectGolden('bounded', tf.sub(bound.position(z), middle), c.expected['bounded']!, c.tolerance)
  const zero = tf.sub(bound.position(tf.zeros([levels.length])), middle)
  await expectGolden('bound of zero', zero, c.expected['bound_of_zero']!, { abs: 2e-6, rel: 0 })
  const { quantized, indices } = quantizer.quantize(z)
  await expectGolden('quantized', quantized, c.expected['quantized']!, c.tolerance)
  await expectGolden('indices', indices, c.expected['indices']!, exact)
}

/** The sigmoid's bound and what is made of it. */
export async function checkIfsq(c: GoldenCase): Promise<void> {
  const levels = c.config['levels'] as number[]
  const quantizer = ifsq({ levels })
  const [z, g] = [tf.variable(goldenTensor(c.inputs['z']!)), goldenTensor(c.inputs['g']!)]
  const position = sigmoidBound(levels).position(z)
  const centred = tf.sub(
    position,
    levels.map((L) => (L - 1) / 2),
  )
  await expectGolden('bounded', centred, c.expected['bounded']!, c.tolerance)
  const { gradients, metrics } = valueAndGradients({ z }, () => {
    const { quantized } = quantizer.quantize(z, { training: true })
    return { loss: tf.sum(tf.mul(g, quantized)), metrics: { quantized } }
  })
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
}

/** Residual layers of finite scalar quantization; the reference's gradients add up over layers. */
export async function checkResidualFsq(c: GoldenCase): Promise<void> {
  const layers = c.config['num_quantizers'] as number
  const quantizer = residualFsq({ levels: c.config['levels'] as number[], layers, estimate: 'layers' })
  const [z, g] = [tf.variable(goldenTensor(c.inputs['z']!)), goldenTensor(c.inputs['g']!)]
  const { gradients, metrics } = valueAndGradients({ z }, () => {
    const { quantized, indices } = quantizer.quantize(z, { training: true })
    return { loss: tf.sum(tf.mul(g, quantized)), metrics: { quantized, indices } }
  })
  const indices = metrics['indices']!
  await expectGolden('indices', indices, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('decoded', quantizer.decode(indices), c.expected['decoded']!, c.tolerance)
  const codebook = quantizer.codebook()
  const codes = Array.from({ length: layers }, (_, l) => {
    const own = tf.squeeze(tf.slice(codebook, [l, 0, 0], [1, -1, -1]), [0])
    return tf.gather(own, tf.squeeze(tf.slice(indices, [0, 0, l], [-1, -1, 1]), [2]))
  })
  await expectGolden('codes', tf.stack(codes), c.expected['all_codes']!, c.tolerance)
}

/** Perturbed scalars as they are outside training: all rounded, with the moments' loss. */
export async function checkFsp(c: GoldenCase): Promise<void> {
  const norm = c.config['vector_norm'] as string
  const targets: Readonly<Record<string, number>> = { var_tanh: 0.8225, var_sigmoid: 3.29, var_laplace: 2 }
  const weights: MomentWeights = norm === 'kurt' ? { skewness: 0.06, kurtosis: 0.05 } : {}
  const none: MomentWeights = { mean: 0, variance: 0 }
  const quantizer = fsp({
    levels: c.config['levels'] as number[],
    distribution: c.config['act_name'] as DistributionName,
    rounded: 1,
    moments: norm === 'none' ? none : { ...weights, target: targets[norm] ?? 1 },
  })
  const [z, g] = [tf.variable(goldenTensor(c.inputs['z']!)), goldenTensor(c.inputs['g']!)]
  const { gradients, metrics } = valueAndGradients({ z }, () => {
    const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
  })
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['norm_loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  await expectGolden('decoded', quantizer.decode(metrics['indices']!), c.expected['decoded']!, c.tolerance)
  const digits = mixedRadix(c.config['levels'] as number[]).decode(metrics['indices']!)
  await expectGolden('levels', digits, c.expected['level_indices']!, exact)
}

/** Learned values per dimension; the reference has channels first. */
export async function checkLatentQuantize(c: GoldenCase): Promise<void> {
  const levels = c.config['levels'] as number[]
  const weights = ['commitment_loss_weight', 'quantization_loss_weight'].map((name) => c.config[name] as number)
  const quantizer = latentQuantization({
    levels,
    // In the reference both terms have the same value, and their gradients at z cancel where the weights are equal.
    codebookWeight: weights[0]! + weights[1]!,
    commitment: 0,
  })
  const values = c.expected['values_per_latent'] as unknown as number[][]
  for (const [i, wanted] of values.entries())
    await expectGolden(
      `values ${i}`,
      quantizer.state()[`grid.values.${i}.weight`]!,
      { shape: [wanted.length], values: wanted },
      c.tolerance,
    )
  const lastly = (name: 'z' | 'g'): tf.Tensor => goldenTensor(permuted(c.inputs[name]!, [0, 2, 1]))
  const [z, g] = [tf.variable(lastly('z')), lastly('g')]
  const parameters = quantizer.parameters()
  const { gradients, metrics } = valueAndGradients({ z, ...parameters }, () => {
    const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
    return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
  })
  const turned = (name: string): { shape: number[]; values: number[] } => permuted(c.expected[name]!, [0, 2, 1])
  await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
  await expectGolden('quantized', metrics['quantized']!, turned('quantized'), c.tolerance)
  await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
  await expectGolden('grad_z', gradients['z']!, turned('grad_z'), c.tolerance)
  await expectGolden('decoded', quantizer.decode(metrics['indices']!), turned('decoded'), c.tolerance)
  for (const name of Object.keys(parameters)) demand(gradients[name] !== undefined, `${name} gets no gradient`)
}

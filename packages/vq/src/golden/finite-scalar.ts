import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '@x/core-gpu'
import { demand, expectGolden, goldenTensor, goldenValues } from '@x/core-gpu/testing'
import { fsq } from '../methods/fsq/fsq.ts'
import { ifsq } from '../methods/ifsq/ifsq.ts'
import { residualFsq } from '../methods/residual-fsq/residual-fsq.ts'
import { makeBound, sigmoidBound } from '../scalar/bounds.ts'
import { mixedRadix } from '../scalar/mixed-radix.ts'
import { exact, type GoldenCase } from './golden.ts'

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

import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from './matmul/gemm.ts'
import type { Pack } from './pack.ts'

/** The address of a tensor, or 0, which the pack takes for none. */
function addressOrNone(pack: Pack, x: tf.TensorInfo | null | undefined): number {
  return x ? pack.address(x) : 0
}

/** XLayerNorm and XRmsNorm: y, then the mean if `centred`, and the inverse deviation of each row. */
export function normWasm(
  pack: Pack,
  { x, scale, offset }: Record<string, tf.TensorInfo>,
  epsilon: number,
  centred: boolean,
): tf.TensorInfo[] {
  const [rows, d] = rowsOf(x!)
  const y = pack.output(x!.shape)
  const mean = centred ? pack.output([rows]) : null
  const inverse = pack.output([rows])
  const parameters = [addressOrNone(pack, scale), addressOrNone(pack, offset)]
  const outputs = [pack.address(y), addressOrNone(pack, mean), pack.address(inverse)]
  const numbers = [Number(centred), pack.address(x!), ...parameters, ...outputs, d, epsilon]
  pack.parallel('normRows', rows, grainOf(2 * d, 1), 0, ...numbers)
  return mean ? [y, mean, inverse] : [y, inverse]
}

/** XLayerNormGradient and XRmsNormGradient: dx, then dScale and, if `centred`, dOffset, where `affine`. */
export function normGradientWasm(
  pack: Pack,
  { x, dy, scale, mean, inverse }: Record<string, tf.TensorInfo>,
  affine: boolean,
  centred: boolean,
): tf.TensorInfo[] {
  const [rows, d] = rowsOf(x!)
  const dx = pack.output(x!.shape)
  const span = grainOf(4 * d, 1)
  const count = Math.ceil(rows / span)
  const kinds = !affine ? 0 : centred ? 2 : 1
  const parts = kinds === 0 ? 0 : pack.scratch(kinds * count * d * 4)
  const partsOf = (kind: number): number => (kind < kinds ? parts + kind * count * d * 4 : 0)
  const inputs = [pack.address(x!), pack.address(dy!), addressOrNone(pack, scale)]
  const statistics = [addressOrNone(pack, mean), pack.address(inverse!)]
  const outputs = [pack.address(dx), partsOf(0), partsOf(1)]
  const numbers = [Number(centred), ...inputs, ...statistics, ...outputs, rows, d, span]
  pack.parallel('normGradientParts', count, 1, 0, ...numbers)
  return [dx, ...Array.from({ length: kinds }, (_, kind) => totalOf(pack, partsOf(kind), count, d))]
}

/** Rows and their length, of a tensor with something in it. */
function rowsOf(x: tf.TensorInfo): [rows: number, d: number] {
  const d = x.shape.at(-1)!
  return [tf.util.sizeFromShape(x.shape) / d, d]
}

/** The sum of parts [count, d] that lie in working memory. */
function totalOf(pack: Pack, parts: number, count: number, d: number): tf.TensorInfo {
  const total = pack.output([d])
  pack.run.columnSums(0, d, 0, parts, pack.address(total), 1, count, d, 1)
  return total
}

/** XGroupNorm: y, and the mean and inverse deviation of each group of each sample. */
export function groupNormWasm(
  pack: Pack,
  { x, scale, offset }: Record<string, tf.TensorInfo>,
  groups: number,
  epsilon: number,
): tf.TensorInfo[] {
  const [samples, positions, channels] = imageOf(x!)
  const outputs = [x!.shape, [samples, groups], [samples, groups]].map((shape) => pack.output(shape))
  const parameters = [addressOrNone(pack, scale), addressOrNone(pack, offset)]
  const addresses = [pack.address(x!), ...parameters, ...outputs.map((tensor) => pack.address(tensor))]
  const grain = groupGrain(positions * channels * 4, channels, groups)
  const numbers = [...addresses, positions, channels, groups, epsilon]
  pack.parallel('groupNormSets', samples * groups, grain, 2 * channels * 4, ...numbers)
  return outputs
}

/** XGroupNormGradient: dx, then dScale and dOffset where `affine`. */
export function groupNormGradientWasm(
  pack: Pack,
  { x, dy, scale, mean, inverse }: Record<string, tf.TensorInfo>,
  groups: number,
  affine: boolean,
): tf.TensorInfo[] {
  const [samples, positions, channels] = imageOf(x!)
  const dx = pack.output(x!.shape)
  const perSample = pack.scratch(2 * samples * channels * 4)
  const perSampleOffset = perSample + samples * channels * 4
  const inputs = [pack.address(x!), pack.address(dy!), addressOrNone(pack, scale)]
  const statistics = [pack.address(mean!), pack.address(inverse!)]
  const outputs = [pack.address(dx), perSample, perSampleOffset]
  const grain = groupGrain(positions * channels * 6, channels, groups)
  const numbers = [...inputs, ...statistics, ...outputs, positions, channels, groups]
  pack.parallel('groupNormGradientSets', samples * groups, grain, 4 * channels * 4, ...numbers)
  if (!affine) return [dx]
  return [dx, ...[perSample, perSampleOffset].map((parts) => totalOf(pack, parts, samples, channels))]
}

/** Samples, positions and channels, of a tensor with something in it. */
function imageOf(x: tf.TensorInfo): [samples: number, positions: number, channels: number] {
  const [samples, channels] = [x.shape[0]!, x.shape.at(-1)!]
  return [samples, tf.util.sizeFromShape(x.shape) / (samples * channels), channels]
}

/** Groups that make a range: at least the 16 channels of a line of the cache, which neighbours would read again. */
function groupGrain(sampleWork: number, channels: number, groups: number): number {
  return grainOf(sampleWork / groups, Math.min(groups, Math.ceil((16 * groups) / channels)))
}

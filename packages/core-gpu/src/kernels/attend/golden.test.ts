import * as tf from '@tensorflow/tfjs-core'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, it } from 'vitest'
import { expectGolden, goldenTensor, type GoldenTensor, goldenValues, type Tolerance } from '../../testing/golden.ts'
import { deviceCases, useCase } from '../testing.ts'
import { attend } from './attend.ts'
import { attendCached } from './attend-cached.ts'
import type { Attended, AttendOptions } from './contract.ts'
import { mergeAttention } from './merge-attention.ts'

interface GoldenCase {
  readonly id: string
  readonly group: string
  readonly options: Pick<AttendOptions, 'causal' | 'scale' | 'softcap' | 'window'>
  readonly inputs: Readonly<
    Record<'q' | 'k' | 'v', GoldenTensor> & Partial<Record<'bias' | 'mask' | 'sinks' | 'dOutput', GoldenTensor>>
  >
  readonly expected: Readonly<Record<string, GoldenTensor>>
  /** where the keys were cut into parts */
  readonly cuts?: readonly number[]
  readonly tolerance: Tolerance
}

const file = new URL('./golden/attention.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: GoldenCase[] }

interface Tensors {
  q: tf.Tensor4D
  k: tf.Tensor4D
  v: tf.Tensor4D
  options: AttendOptions
}

function tensorsOf({ inputs, options }: GoldenCase): Tensors {
  const { q, k, v, bias, mask, sinks } = inputs
  return {
    q: goldenTensor<tf.Rank.R4>(q),
    k: goldenTensor<tf.Rank.R4>(k),
    v: goldenTensor<tf.Rank.R4>(v),
    options: {
      ...options,
      ...(bias && { bias: goldenTensor(bias) }),
      ...(mask && { mask: tf.tensor(Uint8Array.from(goldenValues(mask)), [...mask.shape], 'bool') }),
      ...(sinks && { sinks: goldenTensor<tf.Rank.R1>(sinks) }),
    },
  }
}

async function expectAttended({ expected, tolerance }: GoldenCase, got: Attended): Promise<void> {
  await expectGolden('output', got.output, expected['output']!, tolerance)
  if (expected['logSumExp']) await expectGolden('logSumExp', got.logSumExp, expected['logSumExp'], tolerance)
}

const named = (keep: (golden: GoldenCase) => boolean): [string, GoldenCase][] =>
  cases.filter(keep).map((golden) => [golden.id, golden])
const slots = 'sdpa-max-key-in-each-slot'

describe.each(deviceCases)('attention on $title gives the recorded numbers', (device) => {
  beforeAll(() => useCase(device))

  it.each(named(({ id, inputs }) => id !== slots && !inputs.dOutput))('%s', async (_, golden) => {
    const { q, k, v, options } = tensorsOf(golden)
    await expectAttended(golden, attend(q, k, v, options))
    await expectAttended(golden, attendCached(q, k, v, k.shape[2], { causal: false, ...options }))
  })

  it.each(named(({ inputs }) => inputs.dOutput !== undefined))('%s', async (_, golden) => {
    const { q, k, v, options } = tensorsOf(golden)
    const { bias: _bias, sinks, ...rest } = options
    const f = (...x: tf.Tensor[]): tf.Tensor =>
      attend(x[0] as tf.Tensor4D, x[1] as tf.Tensor4D, x[2] as tf.Tensor4D, {
        ...rest,
        ...(options.bias && { bias: options.bias }),
        ...(sinks && { sinks: x[3] as tf.Tensor1D }),
      }).output
    await expectAttended(golden, attend(q, k, v, options))
    const gradients = tf.grads(f)([q, k, v, ...(sinks ? [sinks] : [])], goldenTensor(golden.inputs.dOutput!))
    for (const [i, name] of ['dq', 'dk', 'dv', ...(sinks ? ['dSinks'] : [])].entries())
      await expectGolden(name, gradients[i]!, golden.expected[name]!, golden.tolerance)
  })

  it.each(named(({ id }) => id === slots))('%s', async (_, golden) => {
    const { q, k, v } = tensorsOf(golden)
    const outputs = Array.from({ length: 40 }, (_, slot) => {
      const here = tf.reshape(tf.oneHot(tf.tensor1d([slot], 'int32'), 40), [1, 1, 40, 1])
      return attend(q, tf.where(tf.cast(here, 'bool'), tf.mul(q, 3), k), v).output
    })
    await expectGolden(
      'output',
      tf.reshape(tf.concat(outputs, 2), [40, 2]),
      golden.expected['output']!,
      golden.tolerance,
    )
  })

  it.each(named(({ cuts }) => cuts !== undefined))('%s, merged', async (_, golden) => {
    const { q, k, v } = tensorsOf(golden)
    const outputs = goldenParts(golden.expected['partOutput']!)
    const sums = goldenParts(golden.expected['partLogSumExp']!)
    const parts = outputs.map((output, i) => ({ output, logSumExp: sums[i]! }) as Attended)
    await expectAttended(golden, mergeAttention(parts))
    tf.dispose([q, k, v])
  })
})

function goldenParts(stacked: GoldenTensor): tf.Tensor[] {
  return tf.unstack(goldenTensor(stacked))
}

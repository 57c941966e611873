import * as tf from '@tensorflow/tfjs-core'
import { canReadSync, key, type Key, type Method, valueAndGradients, variable } from '@x/core-gpu'
import { conformance, type ConformanceCheck, demand, expectRefusal, expectSame } from '@x/core-gpu/testing'
import type { Quantizer } from '../quantizer.ts'

/** How the suite can try a quantizer out. */
export interface QuantizerExample<Options> {
  /** valid and small: some 4 to 16 dimensions and codes */
  options(key: Key): Options
  /** for each option, values that must be refused by an error that begins with the option's name */
  readonly badOptions: Readonly<Record<string, readonly unknown[]>>
  /** whether each vector takes the code at the smallest Euclidean distance */
  readonly nearest: boolean
  /** shape of one thing to quantize, before the last dimension, such as an image's; default `[]`, a vector */
  readonly item?: readonly number[]
  /** indices per thing to quantize, if not one for each codebook */
  readonly indicesPerItem?: number
  /** whether a code is always the same vector, and a sum of codes their sum; default true */
  readonly fixedCodes?: boolean
  /** how far a vector's code may differ from batch to batch, by the rounding of matrix products; default 0 */
  readonly rounding?: number
}

/**
 * What every quantizer must do beside what every method must: keep the contract of `quantize`, `decode` and `codebook`,
 * pass a gradient on, learn, honour masks, and refuse bad input by name.
 */
export function quantizerConformance<Options>(
  method: Method<Options, Quantizer>,
  example: QuantizerExample<NoInfer<Options>>,
): ConformanceCheck[] {
  const make = (seed: number): Quantizer => method(example.options(key(seed)))
  const { item = [], fixedCodes = true, rounding = 0 } = example
  const sample = (quantizer: Quantizer, lead: readonly number[], seed: number): tf.Tensor =>
    key(seed).normal([...lead, ...item, quantizer.dim])
  const train = (quantizer: Quantizer, from: Key): Record<string, tf.Tensor> => trainTwice(quantizer, item, from)
  const perItem = (quantizer: Quantizer): number => example.indicesPerItem ?? quantizer.codebooks
  const check = (name: string, run: (quantizer: Quantizer) => void | Promise<void>): ConformanceCheck => ({
    name: `${method.id} ${name}`,
    run: async () => {
      const before = tf.memory().numTensors
      const quantizer = make(1)
      await run(quantizer)
      quantizer.dispose()
      demand(tf.memory().numTensors === before, `${tf.memory().numTensors - before} tensors were left behind`)
    },
  })
  return [
    ...conformance(method, { ...example, call: train }),
    check('keeps every leading shape', async (quantizer) => {
      for (const lead of [[], [1], [5], [2, 3], [2, 1, 3, 2]]) {
        const z = sample(quantizer, lead, 2)
        const { quantized, indices, loss, terms } = quantizer.quantize(z)
        demand(tf.util.arraysEqual(quantized.shape, z.shape), `quantized: shape [${quantized.shape}] for [${z.shape}]`)
        const wanted = perItem(quantizer) === 1 ? lead : [...lead, perItem(quantizer)]
        demand(tf.util.arraysEqual(indices.shape, wanted), `indices: shape [${indices.shape}] for [${z.shape}]`)
        demand(indices.dtype === 'int32', `indices: ${indices.dtype}, expected int32`)
        demand(loss.rank === 0, `loss: shape [${loss.shape}], expected a scalar`)
        // The same as without the shape: a backend that cannot do something in five dimensions may not say so.
        const flat = tf.tidy(() => quantizer.quantize(tf.reshape(z, [-1, ...item, quantizer.dim])))
        await expectClose('quantized', quantized, flat.quantized, rounding)
        await expectClose('indices', indices, flat.indices, 0)
        tf.dispose([z, quantized, indices, loss, terms, flat])
      }
    }),
    check('decodes to what it quantized', async (quantizer) => {
      // After some training, so that running statistics matter too.
      tf.dispose(train(quantizer, key(3)))
      const z = sample(quantizer, [7, 3], 4)
      const { quantized, indices, ...rest } = quantizer.quantize(z)
      const decoded = quantizer.decode(indices)
      await expectSame('decode(indices)', { codes: decoded }, { codes: quantized })
      const chosen = await indices.data()
      for (const index of chosen) demand(index >= 0 && index < quantizer.codebookSize, `index ${index} is out of range`)
      if (fixedCodes) await expectSums(quantizer, await quantized.data(), chosen)
      tf.dispose([z, quantized, indices, decoded, rest])
    }),
    check('loses nothing outside training, and the sum of its terms in training', async (quantizer) => {
      const z = sample(quantizer, [16], 5)
      const outside = quantizer.quantize(z)
      demand((await outside.loss.data())[0] === 0, 'loss: expected 0 outside training')
      demand(Object.keys(outside.terms).length === 0, 'terms: expected none outside training')
      const inside = quantizer.quantize(z, { training: true, key: key(6) })
      const terms = await Promise.all(Object.values(inside.terms).map(async (term) => (await term.data())[0]!))
      const sum = terms.reduce((a, b) => a + b, 0)
      const loss = (await inside.loss.data())[0]!
      demand(
        Math.abs(loss - sum) <= 1e-6 * Math.max(1, Math.abs(sum)),
        `loss ${loss} is not the sum ${sum} of its terms`,
      )
      tf.dispose([z, outside, inside])
    }),
    check('passes a gradient on to the vectors', async (quantizer) => {
      const z = variable(sample(quantizer, [12], 7))
      const { loss, gradients } = valueAndGradients({ z }, () => {
        const { quantized } = quantizer.quantize(z, { training: true, key: key(8) })
        return { loss: tf.sum(tf.mul(quantized, weights(quantized.shape))) }
      })
      const gradient = gradients['z']
      demand(gradient !== undefined, 'no gradient reached z')
      const values = await gradient.data()
      demand(values.every(Number.isFinite), 'the gradient at z is not finite')
      demand(
        values.some((value) => value !== 0),
        'the gradient at z is zero',
      )
      tf.dispose([z, loss, gradients])
    }),
    check('gives every parameter a gradient', async (quantizer) => {
      const z = sample(quantizer, [64], 9)
      const parameters = quantizer.parameters()
      if (Object.keys(parameters).length > 0) {
        const out = valueAndGradients(parameters, () => {
          // As an objective sees it: some methods train their codes through the value, without a loss of their own.
          const { quantized, loss } = quantizer.quantize(z, { training: true, key: key(10) })
          return { loss: tf.add(loss, tf.sum(tf.mul(quantized, weights(quantized.shape)))) }
        })
        for (const name of Object.keys(parameters)) {
          const values = await out.gradients[name]?.data()
          demand(values !== undefined && values.some((value) => value !== 0), `parameter "${name}" gets no gradient`)
          demand(values.every(Number.isFinite), `the gradient of "${name}" is not finite`)
        }
        tf.dispose([out.loss, out.gradients])
      }
      z.dispose()
    }),
    check('honours a mask', async (quantizer) => {
      const z = sample(quantizer, [6], 11)
      const part = tf.slice(z, 0, 4)
      const mask = tf.tensor1d([1, 1, 1, 1, 0, 0])
      const masked = quantizer.quantize(z, { mask })
      const alone = quantizer.quantize(part)
      const head = tf.slice(masked.quantized, 0, 4)
      await expectClose('quantized where it counts', head, alone.quantized, rounding)
      const indices = await masked.indices.data()
      demand(
        indices.slice(-2 * perItem(quantizer)).every((index) => index === -1),
        'masked indices are not -1',
      )
      demand(
        indices.slice(0, 4 * perItem(quantizer)).every((index) => index >= 0),
        'an index that counts is -1',
      )
      const values = await masked.quantized.data()
      demand(
        values.slice(4 * quantizer.dim * tf.util.sizeFromShape([...item])).every((value) => value === 0),
        'masked vectors are not zero',
      )
      const decoded = quantizer.decode(masked.indices)
      await expectSame('decode(indices) under a mask', { codes: decoded }, { codes: masked.quantized })
      const [a, b] = [make(1), make(1)]
      const outA = a.quantize(z, { mask, training: true, key: key(12) })
      const other = tf.tidy(() => tf.concat([part, sample(quantizer, [2], 13)]))
      const outB = b.quantize(other, { mask, training: true, key: key(12) })
      await expectSame('state learned under a mask', a.state(), b.state())
      await expectSame('loss under a mask', { loss: outA.loss }, { loss: outB.loss })
      a.dispose()
      b.dispose()
      tf.dispose([z, part, mask, masked, alone, head, decoded, outA, outB, other])
    }),
    check('refuses bad input by name', (quantizer) => {
      const { dim, codebookSize } = quantizer
      const bad = {
        narrow: tf.zeros([2, ...item, dim + 1]),
        nan: tf.fill([2, ...item, dim], Number.NaN),
        infinite: tf.fill([2, ...item, dim], Infinity),
        z: tf.zeros([2, ...item, dim]),
        mask: tf.ones([3]),
        floats: tf.zeros([2]),
        beyond: tf.fill([2, perItem(quantizer)], codebookSize, 'int32'),
      }
      expectRefusal('z', () => quantizer.quantize(bad.narrow))
      expectRefusal('z', () => quantizer.quantize([1, 2] as unknown as tf.Tensor))
      expectRefusal('mask', () => quantizer.quantize(bad.z, { mask: bad.mask }))
      expectRefusal('indices', () => quantizer.decode(bad.floats))
      if (canReadSync()) {
        expectRefusal('z', () => quantizer.quantize(bad.nan))
        expectRefusal('z', () => quantizer.quantize(bad.infinite))
        expectRefusal('indices', () => quantizer.decode(bad.beyond))
      }
      tf.dispose(bad)
    }),
    ...(example.nearest
      ? [
          check('takes the nearest code', async (quantizer) => {
            const z = sample(quantizer, [40], 14)
            const { indices, ...rest } = quantizer.quantize(z)
            const codebook = quantizer.codebook()
            const [vectors, codes, chosen] = await Promise.all([z.data(), codebook.data(), indices.data()])
            const d = quantizer.dim
            const distance = (i: number, k: number): number =>
              Array.from({ length: d }, (_, j) => (vectors[i * d + j]! - codes[k * d + j]!) ** 2).reduce(
                (a, b) => a + b,
              )
            chosen.forEach((index, i) => {
              const least = Math.min(...Array.from({ length: quantizer.codebookSize }, (_, k) => distance(i, k)))
              demand(distance(i, index) <= least + 1e-5, `vector ${i} took code ${index}, which is not the nearest`)
            })
            tf.dispose([z, indices, codebook, rest])
          }),
        ]
      : []),
  ]
}

/** One training step's results, and those of the step after. */
function trainTwice(quantizer: Quantizer, item: readonly number[], from: Key): Record<string, tf.Tensor> {
  const z = from.normal([32, ...item, quantizer.dim])
  const first = quantizer.quantize(z, { training: true, key: from.fold(1) })
  const second = quantizer.quantize(z, { training: true, key: from.fold(2) })
  z.dispose()
  tf.dispose(second.terms)
  tf.dispose(first.terms)
  return {
    quantized: first.quantized,
    indices: first.indices,
    loss: first.loss,
    nextQuantized: second.quantized,
    nextIndices: second.indices,
    nextLoss: second.loss,
  }
}

/** The same numbers, whatever the shape, up to rounding. */
async function expectClose(name: string, a: tf.Tensor, b: tf.Tensor, rounding: number): Promise<void> {
  const [here, there] = [await a.data(), await b.data()]
  demand(here.length === there.length, `${name}: ${here.length} numbers, expected ${there.length}`)
  there.forEach((value, i) =>
    demand(Math.abs(here[i]! - value) <= rounding, `${name} differs: ${here[i]} and ${value}`),
  )
}

/**
 * Every vector must be made of its codes: parts side by side, each the sum of as many codes as there are codebooks to a
 * part, added in order in float32.
 */
async function expectSums(quantizer: Quantizer, values: ArrayLike<number>, chosen: ArrayLike<number>): Promise<void> {
  const { dim, codebooks, codebookSize } = quantizer
  const codebook = quantizer.codebook()
  const width = codebook.shape.at(-1)!
  const [parts, own] = [dim / width, codebook.rank === 3]
  const shape = own ? [codebooks, codebookSize, width] : [codebookSize, width]
  demand(tf.util.arraysEqual(codebook.shape, shape), `codebook: shape [${codebook.shape}], expected [${shape}]`)
  demand(codebooks % parts === 0, `codebook: codes of width ${width} do not make up ${dim} dimensions`)
  const codes = await codebook.data()
  codebook.dispose()
  const layers = codebooks / parts
  const code = (i: number, c: number, j: number): number =>
    codes[((own ? c * codebookSize : 0) + chosen[i * codebooks + c]!) * width + j]!
  for (let i = 0; i < values.length / dim; i++)
    for (let k = 0; k < dim; k++) {
      const first = Math.floor(k / width) * layers
      let sum = code(i, first, k % width)
      for (let l = 1; l < layers; l++) sum = Math.fround(sum + code(i, first + l, k % width))
      demand(sum === values[i * dim + k], `vector ${i} is not made of its codes`)
    }
}

/** Weights without symmetry, so that no gradient cancels by chance. */
function weights(shape: number[]): tf.Tensor {
  return tf.tensor(
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => Math.sin(1.7 * i + 0.3)),
    shape,
  )
}

import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { broadcastAt, broadcastShape, build, indices, type Nd } from '../nd.ts'
import { float, type Operation, trials } from '../operation.ts'

interface Product {
  readonly a: number[]
  readonly b: number[]
  readonly out: number[]
  readonly inner: number
  readonly transposeA: boolean
  readonly transposeB: boolean
}

const size = fc.integer({ min: 1, max: 9 })
const odd = fc.oneof({ weight: 12, arbitrary: size }, { weight: 1, arbitrary: fc.constant(0) })

/** Matrices under batch dimensions that broadcast in either direction. */
function productsOf(batches: fc.Arbitrary<[number[], number[]]>): fc.Arbitrary<Product> {
  return fc.tuple(batches, odd, odd, size, fc.boolean(), fc.boolean()).map(([[left, right], m, n, k, ta, tb]) => ({
    a: [...left, ...(ta ? [k, m] : [m, k])],
    b: [...right, ...(tb ? [n, k] : [k, n])],
    out: [...broadcastShape(left, right), m, n],
    inner: k,
    transposeA: ta,
    transposeB: tb,
  }))
}

const sameBatches: fc.Arbitrary<[number[], number[]]> = fc
  .array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 })
  .map((batch) => [batch, batch])

const broadcastBatches: fc.Arbitrary<[number[], number[]]> = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 2 })), { minLength: 1, maxLength: 3 })
  .chain((axes) =>
    fc.tuple(fc.constant(axes), fc.integer({ min: 0, max: axes.length }), fc.boolean()).map(([axes, dropped, swap]) => {
      const left = axes.map(([n, kind]) => (kind === 0 ? 1 : n))
      const right = axes.map(([n, kind]) => (kind === 1 ? 1 : n)).slice(dropped)
      return swap ? [right, left] : [left, right]
    }),
  )

function multiply({ out, inner, transposeA, transposeB }: Product, a: Nd, b: Nd): Nd {
  return build(out, (index) => {
    const [batch, i, j] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!]
    let sum = 0
    for (let k = 0; k < inner; k++) {
      const left = broadcastAt(a, transposeA ? [...batch, k, i] : [...batch, i, k])
      sum += left * broadcastAt(b, transposeB ? [...batch, j, k] : [...batch, k, j])
    }
    return sum
  })
}

function matMul(name: string, batches: fc.Arbitrary<[number[], number[]]>): Operation {
  return {
    name,
    kind: 'product',
    effort: 3,
    trials: trials(productsOf(batches), (product, seed) => ({
      about: `matMul${product.transposeA ? ', a transposed' : ''}${product.transposeB ? ', b transposed' : ''}`,
      operands: [float(product.a, seed), float(product.b, seed + 1)],
      run: (a, b) => tf.matMul(a!, b!, product.transposeA, product.transposeB),
      reference: (a, b) => multiply(product, a!, b!),
    })),
  }
}

const activations: Record<string, (x: number) => number> = {
  linear: (x) => x,
  relu: (x) => Math.max(0, x),
  elu: (x) => (x < 0 ? Math.expm1(x) : x),
  relu6: (x) => Math.min(6, Math.max(0, x)),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
}

const equations = [
  'ij,jk->ik',
  'bij,bjk->bik',
  'bhid,bhjd->bhij',
  'bid,bjd->ijb',
  'ij,jk->',
  'ij,k->kij',
  'i,i->',
  'ijk->ki',
  'ij->j',
  'ij->',
  'abc,cd->abd',
]

/** Einsum by its definition: the sum over every label that the result lacks. */
function einsum(equation: string, sizes: ReadonlyMap<string, number>, operands: readonly Nd[]): Nd {
  const [left, output] = equation.split('->') as [string, string]
  const terms = left.split(',')
  const summed = [...sizes.keys()].filter((label) => left.includes(label) && !output.includes(label))
  return build(
    [...output].map((label) => sizes.get(label)!),
    (index) => {
      let sum = 0
      for (const inner of indices(summed.map((label) => sizes.get(label)!))) {
        const place = (label: string): number =>
          output.includes(label) ? index[output.indexOf(label)]! : inner[summed.indexOf(label)]!
        sum += terms.reduce((product, term, i) => product * broadcastAt(operands[i]!, [...term].map(place)), 1)
      }
      return sum
    },
  )
}

/** Matrix products and what is made of them. */
export const productOperations: Operation[] = [
  matMul('matMul', sameBatches),
  matMul('matMul, broadcast', broadcastBatches),
  {
    name: 'fused.matMul',
    kind: 'product',
    effort: 2,
    trials: trials(
      fc.tuple(productsOf(sameBatches), fc.constantFrom(...Object.keys(activations)), fc.boolean()),
      ([product, activation, biased], seed) => ({
        about: `fused.matMul, ${activation}${biased ? ', bias' : ''}`,
        operands: [
          float(product.a, seed),
          float(product.b, seed + 1),
          ...(biased ? [float([product.out.at(-1)!], seed + 2)] : []),
        ],
        run: (a, b, bias) =>
          tf.fused.matMul({
            a: a!,
            b: b!,
            transposeA: product.transposeA,
            transposeB: product.transposeB,
            activation: activation as 'relu',
            ...(bias && { bias }),
          }),
        reference: (a, b, bias) => {
          const sums = multiply(product, a!, b!)
          return build(sums.shape, (index) =>
            activations[activation]!(broadcastAt(sums, index) + (bias ? broadcastAt(bias, index) : 0)),
          )
        },
      }),
    ),
  },
  {
    name: 'dot',
    kind: 'product',
    trials: trials(fc.tuple(size, size), ([m, k], seed) => ({
      about: 'dot',
      operands: [float([m, k], seed), float([k], seed + 1)],
      run: (a, b) => tf.dot(a!, b!),
      reference: (a, b) =>
        build([m], ([i]) => b!.data.reduce((sum, value, j) => sum + value * broadcastAt(a!, [i!, j]), 0)),
    })),
  },
  {
    name: 'outerProduct',
    kind: 'product',
    trials: trials(fc.tuple(size, size), ([m, n], seed) => ({
      about: 'outerProduct',
      operands: [float([m], seed), float([n], seed + 1)],
      run: (a, b) => tf.outerProduct(a as tf.Tensor1D, b as tf.Tensor1D),
      reference: (a, b) => build([m, n], ([i, j]) => a!.data[i!]! * b!.data[j!]!),
    })),
  },
  {
    name: 'einsum',
    kind: 'product',
    effort: 2,
    trials: trials(
      fc.tuple(fc.constantFrom(...equations), fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 6, maxLength: 6 })),
      ([equation, draws], seed) => {
        const labels = [...new Set(equation.replaceAll(/[^a-z]/g, ''))]
        const sizes = new Map(labels.map((label, i) => [label, draws[i]!]))
        const terms = equation.split('->')[0]!.split(',')
        return {
          about: `einsum ${equation}`,
          operands: terms.map((term, i) => float([...term].map((label) => sizes.get(label)!), seed + i)), // prettier-ignore
          run: (...x) => tf.einsum(equation, ...x),
          reference: (...x) => einsum(equation, sizes, x),
        }
      },
    ),
  },
]

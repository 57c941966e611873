import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { einsumOperations } from './einsum.ts'

const sizes: Record<string, number> = { b: 2, h: 3, i: 4, j: 5, k: 2, d: 6 }

/** Einsum by its definition: a loop over every label. */
function definition(equation: string, inputs: ArrayLike<number>[]): number[] {
  const [left, output] = equation.split('->') as [string, string]
  const labels = [...new Set(left.replaceAll(',', ''))]
  const position = (term: string, values: number[]): number =>
    [...term].reduce((at, label) => at * sizes[label]! + values[labels.indexOf(label)]!, 0)
  const out = Array.from<number>({ length: [...output].reduce((n, label) => n * sizes[label]!, 1) }).fill(0)
  const visit = (values: number[]): void => {
    if (values.length < labels.length) {
      for (let i = 0; i < sizes[labels[values.length]!]!; i++) visit([...values, i])
      return
    }
    const terms = left.split(',')
    out[position(output, values)]! += terms.reduce((p, term, i) => p * inputs[i]![position(term, values)]!, 1)
  }
  visit([])
  return out
}

const equations = [
  'ij,jk->ik',
  'bhid,bhjd->bhij',
  'bid,bjd->ijb',
  'ij,jk->',
  'ij,k->kij',
  'i,i->',
  'ijk->ki',
  'ij->j',
  'ij->',
]

describe.each(deviceCases)('einsum on $title', (device) => {
  beforeAll(() => useCase(device))

  it.each(equations)('computes %s', (equation) => {
    tf.tidy(() => {
      const operands = equation
        .split('->')[0]!
        .split(',')
        .map((term, i) => {
          const shape = [...term].map((label) => sizes[label]!)
          return tf.tensor(numbers(tf.util.sizeFromShape(shape), i + 1), shape)
        })
      const expected = definition(
        equation,
        operands.map((operand) => operand.dataSync()),
      )
      expectClose(tf.einsum(equation, ...operands).dataSync(), expected)
    })
  })

  it('leaks nothing', () => {
    const [a, b] = [tf.ones([3, 4]), tf.ones([4, 5])]
    expectNoLeaks(() => [tf.einsum('ij,jk->ki', a, b)], 300)
    tf.dispose([a, b])
  })

  it('refuses equations that do not fit', () => {
    tf.tidy(() => {
      const a = tf.ones([3, 4])
      expect(() => einsumOperations([a, a], 'ij,jk->ik')).toThrow(/"j".*is both 4 and 3/)
      expect(() => einsumOperations([a], 'ijk->i')).toThrow(RangeError)
      expect(() => einsumOperations([a], 'ij->z')).toThrow(RangeError)
      expect(() => einsumOperations([a, a, a], 'ij,ij,ij->i')).toThrow(RangeError)
    })
  })
})

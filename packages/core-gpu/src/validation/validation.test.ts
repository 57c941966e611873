import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import {
  describeShape,
  describeValue,
  requireInteger,
  requireLastDimension,
  requireShape,
  requireTensor,
} from './validation.ts'

describe('validation', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  it.each([
    [null, 'null'],
    [undefined, 'undefined'],
    ['x', '"x"'],
    [3, '3'],
    [[1, 2], 'an array of 2'],
    [new Map(), 'an object (Map)'],
    [() => 1, 'a function'],
  ])('describes %s', (value, words) => {
    expect(describeValue(value)).toBe(words)
  })

  it('describes tensors and shapes', () => {
    expect(describeValue(tf.ones([2, 3]))).toBe('a tensor of shape [2, 3]')
    expect(describeShape(['B', 3])).toBe('[B, 3]')
  })

  it.each([
    [() => requireTensor('x', 3), TypeError, 'x: expected a tensor, got 3'],
    [() => requireLastDimension('x', tf.ones([2, 3]), 4), RangeError, 'x: expected shape [..., 4], got [2, 3]'],
    [() => requireShape('x', tf.ones([2, 3]), [null, 4]), RangeError, 'x: expected shape [?, 4], got [2, 3]'],
    [() => requireShape('x', tf.ones([2]), [2, 1]), RangeError, 'x: expected shape [2, 1], got [2]'],
    [() => requireInteger('n', 1.5, 1), RangeError, 'n: expected a whole number >= 1, got 1.5'],
    [() => requireInteger('n', 0, 1), RangeError, 'n: expected a whole number >= 1, got 0'],
  ])('refuses %#', (run, type, message) => {
    expect(run).toThrow(new type(message))
  })

  it('accepts what fits', () => {
    requireTensor('x', tf.ones([1]))
    requireLastDimension('x', tf.ones([2, 3]), 3)
    requireShape('x', tf.ones([2, 3]), [null, 3])
    requireInteger('n', 1, 1)
  })
})

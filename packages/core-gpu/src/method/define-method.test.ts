import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { defineMethod } from './define-method.ts'
import { integer, integers, numberBetween, numberFrom } from './options.ts'

const method = defineMethod({
  id: 'test/echo',
  title: 'Echo',
  summary: 'Gives back the options it was made with.',
  paper: { title: 'None', arxiv: '2401.00001', year: 2024 },
  options: v.object({
    size: integer(1),
    rate: v.optional(numberBetween(0, 1), 0.5),
    weight: v.optional(numberFrom(0), 1),
    levels: v.optional(integers(2), [3]),
    start: v.optional(v.strictObject({ rounds: integer(1) })),
  }),
  create: (options) => options,
})

describe('defineMethod', () => {
  it('describes itself and fills defaults in', () => {
    expect(method.id).toBe('test/echo')
    expect(method({ size: 4 })).toEqual({ size: 4, rate: 0.5, weight: 1, levels: [3] })
    expect(method({ size: 4, rate: 0.1, levels: [2, 5] })).toMatchObject({ rate: 0.1, levels: [2, 5] })
  })

  it.each([
    [{ size: 0 }, RangeError, 'size: expected >=1, got 0'],
    [{ size: 1.5 }, RangeError, 'size: expected a whole number, got 1.5'],
    [{ size: '4' }, TypeError, 'size: expected number, got "4"'],
    [{}, TypeError, 'size: expected number, got undefined'],
    [{ size: 4, rate: 1 }, RangeError, 'rate: expected <1, got 1'],
    [{ size: 4, weight: -1 }, RangeError, 'weight: expected >=0, got -1'],
    [{ size: 4, weight: Number.NaN }, TypeError, 'weight: expected number, got NaN'],
    [{ size: 4, levels: [5, 1] }, RangeError, 'levels.1: expected >=2, got 1'],
    [{ size: 4, start: { rounds: 0 } }, RangeError, 'start.rounds: expected >=1, got 0'],
    [{ size: 4, start: { rounds: 1, turns: 2 } }, TypeError, 'start.turns: no such option'],
    [{ size: 4, sise: 5 }, TypeError, 'sise: no such option; known are size, rate, weight, levels, start'],
    [undefined, TypeError, 'options: expected Object, got undefined'],
  ])('refuses %o', (options, kind, message) => {
    const call = (): unknown => method(options as { size: number })
    expect(call).toThrow(kind)
    expect(call).toThrow(message)
  })
})

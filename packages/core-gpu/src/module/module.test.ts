import * as tf from '@tensorflow/tfjs-core'
import { beforeEach, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { BaseModule, isModule, variable } from './module.ts'

class Part extends BaseModule {
  readonly weight: tf.Variable
  readonly seen: tf.Variable = variable(tf.scalar(0), { trainable: false })
  readonly label = 'a part'

  constructor(weight: tf.Variable = variable(tf.zeros([2, 3]))) {
    super()
    this.weight = weight
  }
}

class Whole extends BaseModule {
  readonly encoder = new Part()
  readonly blocks: Part[] = [new Part(), new Part()]
  readonly sizes = [1, 2]
  readonly scale: tf.Variable = variable(tf.scalar(1))
}

class Tied extends BaseModule {
  readonly input = new Part()
  readonly output = new Part(this.input.weight)
}

describe('BaseModule', () => {
  beforeEach(async () => {
    await useBackend('cpu')
  })

  it('names parameters and buffers by the fields that lead to them', () => {
    const module = new Whole()
    expect(Object.keys(module.parameters())).toEqual(['encoder.weight', 'blocks.0.weight', 'blocks.1.weight', 'scale'])
    expect(Object.keys(module.state())).toEqual([
      'encoder.weight',
      'encoder.seen',
      'blocks.0.weight',
      'blocks.0.seen',
      'blocks.1.weight',
      'blocks.1.seen',
      'scale',
    ])
    expect(module.state()['blocks.1.weight']).toBe(module.blocks[1]!.weight)
  })

  it('takes over the values of another state, without sharing its fate', () => {
    const [from, to] = [new Whole(), new Whole()]
    from.blocks[0]!.weight.assign(tf.fill([2, 3], 7))
    to.load(from.state())
    from.dispose()
    expect(Array.from(to.blocks[0]!.weight.dataSync())).toEqual([7, 7, 7, 7, 7, 7])
  })

  it.each([
    [() => ({ extra: tf.scalar(1) }), /state: unknown entry "extra"; known are encoder.weight/],
    [() => ({ scale: undefined }), /state: entry "scale" is missing/],
    [() => ({ scale: tf.ones([2]) }), /state: entry "scale" has shape \[2\], expected \[\]/],
  ])('refuses a state that does not fit, and changes nothing: %#', (change, message) => {
    const module = new Whole()
    const state = { ...module.state(), 'encoder.weight': tf.ones([2, 3]), ...change() } as Record<string, tf.Tensor>
    if (state.scale === undefined) delete state.scale
    expect(() => module.load(state)).toThrow(message)
    expect(module.encoder.weight.dataSync()[0]).toBe(0)
  })

  it('trains and disposes a shared variable once', () => {
    const before = tf.memory().numTensors
    const module = new Tied()
    expect(Object.keys(module.parameters())).toEqual(['input.weight'])
    expect(Object.keys(module.state())).toContain('output.weight')
    module.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  it('leaves nothing behind', () => {
    const before = tf.memory().numTensors
    const module = new Whole()
    module.load(module.state())
    module.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  it('is told from other things', () => {
    expect([new Part(), {}, null, 3].map(isModule)).toEqual([true, false, false, false])
  })
})

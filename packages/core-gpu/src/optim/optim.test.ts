import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { BaseModule, variable } from '../module/module.ts'
import { key } from '../random/key.ts'
import { countLeaks } from '../testing/leaks.ts'
import { AdamW } from './adamw.ts'
import { clipByGlobalNorm, globalNorm } from './clip.ts'
import type { Optimizer } from './optimizer.ts'
import { constant, cosineDecay, linearDecay, linearWarmup, stepDecay, warmupThen } from './schedules.ts'
import { Sgd } from './sgd.ts'
import { WeightEma } from './weight-ema.ts'

const SIZE = 4

function parametersOf(): Record<string, tf.Variable> {
  return { a: variable(key(1).normal([SIZE])), 'b.c': variable(key(2).normal([SIZE])) }
}

/** At every third step `b.c` has none. */
function gradientsAt(step: number): Record<string, tf.Tensor> {
  const a = key(100 + step).normal([SIZE])
  return step % 3 === 1 ? { a } : { a, 'b.c': key(200 + step).normal([SIZE], { standardDeviation: 5 }) }
}

/** Runs an optimizer and an exact rule, one scalar at a time in float64, side by side. */
async function expectSameAs(
  optimizer: Optimizer,
  rule: (path: string) => (value: number, gradient: number, step: number) => number,
): Promise<void> {
  const parameters = parametersOf()
  const exact: Record<string, { value: number; update: (v: number, g: number, s: number) => number }[]> = {}
  for (const [path, p] of Object.entries(parameters))
    exact[path] = Array.from(await p.data(), (value) => ({ value, update: rule(path) }))
  for (let step = 0; step < 30; step++) {
    const gradients = gradientsAt(step)
    optimizer.step(parameters, gradients)
    for (const [path, gradient] of Object.entries(gradients)) {
      const g = await gradient.data()
      exact[path]!.forEach((e, i) => (e.value = e.update(e.value, g[i]!, step)))
    }
    tf.dispose(gradients)
  }
  for (const [path, p] of Object.entries(parameters)) {
    const got = await p.data()
    exact[path]!.forEach((e, i) => expect(Math.abs(got[i]! - e.value)).toBeLessThan(2e-5))
  }
  optimizer.dispose()
  tf.dispose(parameters)
}

describe.each(['cpu', 'wasm'] as const)('optimizers on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend)
  })

  it('AdamW does what PyTorch does', async () => {
    const [beta1, beta2, epsilon, weightDecay] = [0.8, 0.95, 1e-3, 0.1]
    const learningRate = cosineDecay({ from: 0.1, to: 0.01, steps: 20 })
    const decay = (path: string): boolean => path === 'a'
    const optimizer = new AdamW({ learningRate, beta1, beta2, epsilon, weightDecay, decay })
    await expectSameAs(optimizer, (path) => {
      let [m, v, t] = [0, 0, 0]
      return (value, g, step) => {
        t += 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        const decayed = value - (decay(path) ? learningRate(step) * weightDecay * value : 0)
        return decayed - (learningRate(step) * (m / (1 - beta1 ** t))) / (Math.sqrt(v / (1 - beta2 ** t)) + epsilon)
      }
    })
  })

  it.each([
    { momentum: 0, nesterov: false, weightDecay: 0 },
    { momentum: 0.9, nesterov: false, weightDecay: 0.05 },
    { momentum: 0.7, nesterov: true, weightDecay: 0.05 },
  ])('Sgd does what PyTorch does: %j', async ({ momentum, nesterov, weightDecay }) => {
    await expectSameAs(new Sgd({ learningRate: 0.05, momentum, nesterov, weightDecay }), () => {
      let velocity: number | undefined
      return (value, gradient) => {
        const g = gradient + weightDecay * value
        velocity = velocity === undefined ? g : momentum * velocity + g
        const direction = momentum === 0 ? g : nesterov ? g + momentum * velocity : velocity
        return value - 0.05 * direction
      }
    })
  })

  it.each([
    ['AdamW', () => new AdamW({ learningRate: stepDecay({ from: 0.1, factor: 0.5, every: 3 }) })],
    ['Sgd', () => new Sgd({ learningRate: stepDecay({ from: 0.1, factor: 0.5, every: 3 }), momentum: 0.9 })],
  ])('%s goes on from a saved state to the last bit', async (_name, make: () => Optimizer) => {
    const run = (optimizer: Optimizer, parameters: Record<string, tf.Variable>, from: number, to: number): void => {
      for (let step = from; step < to; step++) {
        const gradients = gradientsAt(step)
        optimizer.step(parameters, gradients)
        tf.dispose(gradients)
      }
    }
    const [whole, first, second] = [make(), make(), make()]
    const [p, q] = [parametersOf(), parametersOf()]
    run(whole, p, 0, 10)
    run(first, q, 0, 4)
    const saved = Object.fromEntries(Object.entries(first.state()).map(([name, t]) => [name, tf.clone(t)]))
    first.dispose()
    second.load(saved)
    tf.dispose(saved)
    run(second, q, 4, 10)
    for (const path of Object.keys(p)) expect(await q[path]!.data()).toEqual(await p[path]!.data())
    expect(Object.keys(second.state()).sort()).toEqual(Object.keys(whole.state()).sort())
    whole.dispose()
    second.dispose()
    tf.dispose([p, q] as tf.TensorContainer)
  })

  it.each([
    ['AdamW', () => new AdamW({ learningRate: 0.1 })],
    ['Sgd', () => new Sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.1 })],
  ])('%s leaves nothing behind', async (_name, make: () => Optimizer) => {
    const before = tf.memory().numTensors
    const [optimizer, parameters, gradients] = [make(), parametersOf(), gradientsAt(0)]
    expect(await countLeaks(() => optimizer.step(parameters, gradients))).toBe(0)
    expect(await countLeaks(() => void optimizer.state())).toBe(0)
    expect(await countLeaks(() => optimizer.load({ ...optimizer.state() }))).toBe(0)
    expect(gradients.a!.isDisposed).toBe(false)
    optimizer.dispose()
    tf.dispose([parameters, gradients] as tf.TensorContainer)
    expect(tf.memory().numTensors).toBe(before)
  })

  it('clips by the norm of all gradients together', async () => {
    const gradients = { a: tf.tensor1d([3, 0]), b: tf.tensor2d([[0, 4]]) }
    expect(await globalNorm(gradients).data()).toEqual(new Float32Array([5]))
    const clipped = clipByGlobalNorm(gradients, 1)
    expect((await clipped.norm.data())[0]).toBe(5)
    expect((await globalNorm(clipped.gradients).data())[0]).toBeCloseTo(1, 5)
    expect(clipped.gradients.b!.shape).toEqual([1, 2])
    const kept = clipByGlobalNorm(gradients, 6)
    expect(await kept.gradients.a!.data()).toEqual(await gradients.a.data())
    expect(await globalNorm({}).data()).toEqual(new Float32Array([0]))
    expect(await countLeaks(() => clipByGlobalNorm(gradients, 1))).toBe(0)
    expect(() => clipByGlobalNorm(gradients, 0)).toThrow(/max: expected a number > 0, got 0/)
  })
})

describe('optimizers', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  it.each([
    [() => new AdamW({ learningRate: -1 }), /learningRate: expected a finite number >= 0, got -1/],
    [() => new AdamW({ learningRate: 1, beta1: 1 }), /beta1: expected a number in \[0, 1\), got 1/],
    [() => new AdamW({ learningRate: 1, beta2: -0.1 }), /beta2: expected/],
    [() => new AdamW({ learningRate: 1, epsilon: -1 }), /epsilon: expected a number >= 0, got -1/],
    [() => new AdamW({ learningRate: 1, weightDecay: Number.NaN }), /weightDecay: expected a number >= 0, got NaN/],
    [() => new Sgd({ learningRate: 1, momentum: 1 }), /momentum: expected a number in \[0, 1\), got 1/],
    [() => new Sgd({ learningRate: 1, nesterov: true }), /nesterov: needs momentum > 0/],
    [() => new AdamW({ learningRate: 1 }).step({}, { w: tf.ones([1]) }), /gradients: "w" is no parameter/],
    [
      () => new AdamW({ learningRate: 1 }).step({ w: variable(tf.ones([2])) }, { w: tf.ones([1]) }),
      /gradient: expected shape \[2\], got \[1\]/,
    ],
    [() => new AdamW({ learningRate: 1 }).load({}), /state: entry "step" is missing/],
    [
      () => new Sgd({ learningRate: 1 }).load({ step: tf.scalar(0, 'int32'), 'updates.w': tf.scalar(0, 'int32') }),
      /state: entry "momentum.w" is missing/,
    ],
    [
      () => new Sgd({ learningRate: 1 }).load({ step: tf.scalar(0, 'int32'), x: tf.scalar(0) }),
      /state: unknown entry "x"/,
    ],
  ])('refuse bad input %#', (run, message) => {
    expect(run).toThrow(message)
  })
})

describe('schedules', () => {
  const values = (schedule: (step: number) => number, steps: number[]): number[] => steps.map((s) => schedule(s))

  it.each([
    ['constant', constant(2), [0, 9], [2, 2]],
    ['linearWarmup', linearWarmup(4, 4), [0, 1, 3, 4, 9], [1, 2, 4, 4, 4]],
    ['linearDecay', linearDecay({ from: 4, to: 2, steps: 4 }), [0, 1, 4, 9], [4, 3.5, 2, 2]],
    ['cosineDecay', cosineDecay({ from: 4, steps: 4 }), [0, 1, 2, 4, 9], [4, 2 + Math.SQRT2, 2, 0, 0]],
    ['stepDecay', stepDecay({ from: 4, factor: 0.5, every: 2 }), [0, 1, 2, 5], [4, 4, 2, 1]],
    ['warmupThen', warmupThen(2, linearDecay({ from: 4, steps: 4 })), [0, 1, 2, 3, 6], [2, 4, 4, 3, 0]],
    ['warmupThen at once', warmupThen(0, constant(1)), [0], [1]],
  ])('%s', (_name, schedule, steps, wanted) => {
    values(schedule, steps).forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 12))
  })

  it('refuse bad lengths', () => {
    expect(() => cosineDecay({ from: 1, steps: 0 })).toThrow(/steps: expected a whole number >= 1, got 0/)
    expect(() => linearDecay({ from: 1, steps: 0.5 })).toThrow(/steps/)
    expect(() => stepDecay({ from: 1, factor: 1, every: 0 })).toThrow(/every/)
    expect(() => warmupThen(-1, constant(1))).toThrow(/steps/)
  })
})

class Scalar extends BaseModule {
  readonly w: tf.Variable = variable(tf.scalar(0))
}

describe.each(['cpu', 'wasm'] as const)('WeightEma on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend)
  })

  const read = async (tensor: tf.Tensor): Promise<number> => (await tensor.data())[0]!

  it.each([false, true])('averages, warmup %s', async (warmup) => {
    const module = new Scalar()
    const ema = new WeightEma(module, { decay: 0.5, warmup })
    let exact = 0
    for (let n = 1; n <= 12; n++) {
      tf.tidy(() => module.w.assign(tf.scalar(n)))
      ema.update()
      const decay = warmup ? Math.min(0.5, (1 + n) / (10 + n)) : 0.5
      exact = decay * exact + (1 - decay) * n
    }
    expect(await ema.apply(() => read(module.w))).toBeCloseTo(exact, 5)
    expect(await read(module.w)).toBe(12)
  })

  it('gives the weights back whatever happens', async () => {
    const module = new Scalar()
    const ema = new WeightEma(module, { decay: 0 })
    tf.tidy(() => module.w.assign(tf.scalar(5)))
    expect(() =>
      ema.apply(() => {
        throw new Error('inside')
      }),
    ).toThrow('inside')
    expect(await read(module.w)).toBe(5)
    await expect(ema.apply(async () => Promise.reject(new Error('later')))).rejects.toThrow('later')
    expect(await read(module.w)).toBe(5)
    expect(() => ema.apply(() => ema.apply(() => 0))).toThrow(/applied already/)
    expect(() => ema.apply(() => ema.update())).toThrow(/averaged weights are applied/)
    expect(await read(module.w)).toBe(5)
    expect(ema.apply(() => module.w.dataSync()[0])).toBe(0)
  })

  it('goes on from a saved state, and refuses another', async () => {
    const [module, other] = [new Scalar(), new Scalar()]
    const [ema, copy] = [
      new WeightEma(module, { decay: 0.9, warmup: true }),
      new WeightEma(other, { decay: 0.9, warmup: true }),
    ]
    const advance = (target: Scalar, average: WeightEma, value: number): void => {
      tf.tidy(() => target.w.assign(tf.scalar(value)))
      average.update()
    }
    advance(module, ema, 3)
    copy.load(ema.state())
    advance(module, ema, 7)
    advance(other, copy, 7)
    expect(await read(copy.state()['average.w']!)).toBe(await read(ema.state()['average.w']!))
    expect(() => copy.load({})).toThrow(/state: entry "updates" is missing/)
    expect(() => copy.load({ ...ema.state(), x: tf.scalar(1) })).toThrow(/state: unknown entry "x"/)
    expect(() => copy.load({ ...ema.state(), 'average.w': tf.ones([2]) })).toThrow(
      /"average.w" has shape \[2\], expected \[\]/,
    )
    expect(() => new WeightEma(module, { decay: 2 })).toThrow(/decay: expected a number from 0 to 1, got 2/)
  })

  it('leaves nothing behind', async () => {
    const before = tf.memory().numTensors
    const module = new Scalar()
    const ema = new WeightEma(module, { decay: 0.9 })
    expect(await countLeaks(() => ema.update())).toBe(0)
    expect(await countLeaks(() => ema.apply(() => null))).toBe(0)
    expect(await countLeaks(() => ema.load(ema.state()))).toBe(0)
    ema.dispose()
    module.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })
})

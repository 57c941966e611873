import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { samplers } from '@x/diffusion'
import { beforeAll, describe, expect, it } from 'vitest'
import { fixedSampler, fixedSamplers, stepsFor } from './fixed-samplers.ts'
import { makeSampler } from './make-sampler.ts'

describe('the samplers that are measured', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  it.each(Object.entries(fixedSamplers))('%s makes as many calls as it says', async (method, sampler) => {
    const x = key(0).normal([2, 2])
    for (const params of sampler.variants)
      for (let steps = sampler.fewest ?? 1; steps <= 6; steps++)
        for (const fullOrder of [false, true]) {
          let calls = 0
          const grid = Array.from({ length: steps + 1 }, (_, i) => i / 2 - 1)
          const end = await makeSampler({ method, params }, fullOrder)(
            (at) => {
              calls++
              return tf.mul(at, 0.5)
            },
            x,
            grid,
            { key: key(1) },
          )
          end.dispose()
          expect(calls, `${steps} steps`).toBe(sampler.callsOf(steps, params))
          expect(stepsFor(sampler, calls, params)).toBe(steps)
        }
    x.dispose()
  })

  it('are those of the package that go through a given grid', () => {
    const ids = samplers.map(({ id }) => id.slice('diffusion/'.length))
    for (const method of Object.keys(fixedSamplers)) expect(ids).toContain(method)
  })

  it('have no steps for calls that they cannot make', () => {
    expect(stepsFor(fixedSampler('heun'), 5, {})).toBeUndefined()
    expect(stepsFor(fixedSampler('pndm'), 64, {})).toBe(55)
    expect(() => fixedSampler('none')).toThrow(/^method: unknown "none"/)
  })
})

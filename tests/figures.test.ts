import { memory } from '@tensorflow/tfjs-core'
import { expect, it } from 'vitest'
import { methods } from '../apps/site/src/families.ts'
import { figuresOf } from '../apps/site/src/figures/figures.ts'

const drawn = methods.filter(({ kind }) => ['guidance', 'samplers', 'schedules'].includes(kind))

it.each(drawn.map((method) => [method.id, method] as const))('%s is drawn at work', async (_, method) => {
  const before = memory().numTensors
  const figures = await figuresOf(method)
  expect(memory().numTensors).toBe(before)
  // What acts within a network has no drawing in the plane.
  const inNetworks = ['perturbed-attention', 'skip-tuning', 'upsample'].includes(method.name)
  expect(figures).toHaveLength(inNetworks ? 0 : 1)
  for (const { title, note, svg } of figures) {
    expect(title.length).toBeGreaterThan(5)
    expect(note).not.toMatch(/NaN|undefined/)
    expect(svg).toMatch(/role="img"/)
    expect(svg).not.toMatch(/NaN/)
  }
})

it('samplers of a higher order end nearer to the exact flow', async () => {
  const off = async (id: string): Promise<number> => {
    const [figure] = await figuresOf(methods.find((method) => method.id === id)!)
    return Number(/ends (\S+) from/.exec(figure!.note)![1])
  }
  expect(await off('diffusion/rk45')).toBeLessThan(0.01)
  expect(await off('diffusion/heun')).toBeLessThan(await off('diffusion/ddim'))
})

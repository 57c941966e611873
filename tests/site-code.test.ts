import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dispose, engine, zeros } from '@tensorflow/tfjs-core'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { families, methods } from '../apps/site/src/families.ts'
import { picturesOf } from '../apps/site/src/measurements/pictures.ts'
import { argumentsOf, defaultsOf, usageCode } from '../apps/site/src/measurements/usage-code.ts'
import type { Artifact, Result } from '../benchmarks/src/result.ts'
import * as attention from '../packages/attention/src/index.ts'
import * as diffusion from '../packages/diffusion/src/index.ts'
import * as vq from '../packages/vq/src/index.ts'

const AsyncFunction = (async () => undefined).constructor as new (
  ...args: string[]
) => (...values: unknown[]) => Promise<void>

/** What the pages' code takes to be there. */
function surroundings(): Record<string, unknown> {
  const denoiser: diffusion.Denoiser = (x) => x.clone()
  return {
    x: zeros([1, 5, 64]),
    token: zeros([1, 1, 64]),
    context: zeros([1, 3, 64]),
    denoiser,
    weak: denoiser,
    network: denoiser,
    grid: diffusion.logSnrGrid({ steps: 3, logSnrMin: -4, logSnrMax: 4, final: 'min' }),
    known: zeros([1, 5, 64]),
    mask: zeros([1, 5, 64]),
  }
}

describe('the code on the pages', () => {
  it("the front page's example runs and prints the shapes that it speaks of", async () => {
    const print = vi.spyOn(console, 'log').mockImplementation(() => {})
    await import('../apps/site/src/examples/quantize.ts')
    expect(print.mock.calls[0]?.slice(0, 3)).toEqual([
      [8, 16, 16, 64],
      [8, 16, 16],
      [8, 16, 16, 64],
    ])
    print.mockRestore()
  })

  const quantizers = methods.filter(({ family, exportName }) => family === 'vq' && exportName !== null)
  it.each(quantizers.map((method) => [method.id, method] as const))('%s is made as its page says', (_, method) => {
    const make = (vq as unknown as Record<string, (options: object) => { codebook(): Parameters<typeof dispose>[0] }>)[
      method.exportName!
    ]!
    const quantizer = make(argumentsOf(method))
    dispose(quantizer.codebook())
    expect(usageCode(method)).toContain(`${method.exportName}({`)
    expect(defaultsOf(method).map(({ name }) => name)).not.toContain('dim')
  })

  const others = methods.filter(({ family }) => family !== 'vq')
  it.each(others.map((method) => [method.id, method] as const))('%s is used as its page says', async (_, method) => {
    const exported = { attention, diffusion }[method.family] as Record<string, unknown>
    const [first = '', ...rest] = usageCode(method).split('\n')
    const imported = /^import \{ (.*) \} from/.exec(first)![1]!.split(', ')
    const scope: Record<string, unknown> = { ...surroundings(), console: { log: () => undefined } }
    for (const name of imported) scope[name] = exported[name]
    expect(imported.filter((name) => scope[name] === undefined)).toEqual([])
    const body = new AsyncFunction(...Object.keys(scope), rest.join('\n'))
    await engine().startScope()
    await body(...Object.values(scope))
    engine().endScope()
  })

  it('an option without a sample value is refused by name', () => {
    const options = [{ name: 'temperature', required: true, fallback: null }]
    expect(() => argumentsOf({ id: 'vq/odd', options })).toThrow(/vq\/odd.*"temperature"/)
  })

  it('every family lists the methods of its own package', () => {
    for (const { id, kinds } of families)
      for (const kind of kinds) {
        expect(kind.methods.length, kind.title).toBeGreaterThan(0)
        for (const method of kind.methods) expect(method.id.startsWith(`${id}/`)).toBe(true)
      }
    expect(methods.map(({ order }) => order)).toEqual(methods.map((_, place) => place))
    expect(new Set(methods.map(({ id }) => id)).size).toBe(methods.length)
  })
})

describe('pictures', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pictures-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  it('of private data are left out of a site with a public address', () => {
    const png = Buffer.alloc(33)
    png.writeUInt32BE(40, 16)
    png.writeUInt32BE(20, 20)
    for (const name of ['secret.png', 'open.png']) writeFileSync(join(folder, name), png)
    const artifacts = ['secret', 'open', 'gone'].map((name): Artifact => ({
      title: name,
      file: `${name}.png`,
      kind: 'image',
      private: name === 'secret',
    }))
    const result = { status: 'ok', key: 'k', artifacts } as unknown as Result
    const stored = { result, artifactPath: ({ file }: Artifact) => join(folder, file) }
    const shown = (published: boolean): string[] =>
      picturesOf(stored, published).flatMap(({ title, file }) => (file === null ? [] : [title]))
    expect(shown(false)).toEqual(['secret', 'open'])
    expect(shown(true)).toEqual(['open'])
    expect(picturesOf(stored, false)[0]).toMatchObject({ width: 40, height: 20, private: true })
  })
})

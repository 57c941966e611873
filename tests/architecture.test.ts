import { globSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const root = new URL('../', import.meta.url)
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8')

// Who may import whom; what is missing here may be imported by nobody.
const mayImport: Record<string, readonly string[]> = {
  'packages/core-gpu': ['@x/core-gpu'],
  'packages/attention': ['@x/attention', '@x/core-gpu'],
  'packages/diffusion': ['@x/core-gpu', '@x/diffusion'],
  'packages/vq': ['@x/core-gpu', '@x/vq'],
  benchmarks: ['@x/attention', '@x/core-gpu', '@x/diffusion', '@x/vq'],
  'apps/site': ['@x/attention', '@x/benchmarks', '@x/core-gpu', '@x/diffusion', '@x/vq'],
}

it.each(Object.entries(mayImport))('%s imports only what lies below it', (folder, allowed) => {
  const files = globSync(`${folder}/src/**/*.{ts,astro}`, { cwd: root })
  expect(files.length).toBeGreaterThan(0)
  const wrong = files.flatMap((file) =>
    [...read(file).matchAll(/from\s+['"](@x\/[a-z-]+)/g)]
      .filter(([, name]) => !allowed.includes(name!))
      .map(([, name]) => `${file} imports ${name}`),
  )
  expect(wrong).toEqual([])
})

it('every package is known to this test', () => {
  const folders = globSync(['packages/*/package.json', 'benchmarks/package.json', 'apps/*/package.json'], { cwd: root })
  expect(folders.map((file) => file.replace('/package.json', '')).sort()).toEqual(Object.keys(mayImport).sort())
})

it('scripts run on a Node that everything here supports', () => {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
  expect(major > 22 || (major === 22 && minor >= 12)).toBe(true)
})

it('the lockfile holds no download addresses', () => {
  expect(read('pnpm-lock.yaml')).not.toMatch(/tarball:|https?:\/\//)
})

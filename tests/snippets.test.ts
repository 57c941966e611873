import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, expect, it, vi } from 'vitest'

// Every `ts` block of the READMEs and the docs is run, as a reader would paste it.
const root = new URL('../', import.meta.url)
const folder = new URL('./.snippets/', import.meta.url)
const snippets = globSync(['README.md', 'packages/*/README.md', 'apps/site/src/content/docs/**/*.{md,mdx}'], {
  cwd: root,
})
  .sort()
  .flatMap((document) =>
    [...readFileSync(new URL(document, root), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code], i) => ({
      document,
      n: i + 1,
      code: code!,
    })),
  )

mkdirSync(folder, { recursive: true })
afterAll(() => rmSync(folder, { recursive: true }))

it.each(snippets)('$document: snippet $n runs', async ({ document, n, code }) => {
  const file = new URL(`${document.replaceAll(/\W/g, '-')}-${n}.ts`, folder)
  writeFileSync(file, code)
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  await import(file.href)
  const printed = log.mock.calls.map((line) => line.join(' ')).join('\n')
  log.mockRestore()
  // Whatever a snippet prints is a figure: NaN or undefined in it would be a broken example.
  expect(printed).not.toMatch(/NaN|undefined/)
})

it('finds the snippets', () => {
  expect(new Set(snippets.map(({ document }) => document))).toContain('README.md')
})

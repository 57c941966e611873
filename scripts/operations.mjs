// Makes the table of operations and backends again: runs the differential tests with our kernels and with stock ones,
// and writes what they found to findings.json and to the page of the site. Backends that are absent here keep their column.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as prettier from 'prettier'
import { operationTables } from '../packages/core-gpu/src/differential/table.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = 'packages/core-gpu/src/differential'
const findingsFile = join(root, source, 'findings.json')
const page = join(root, 'apps/site/src/content/docs/operations.md')

const folder = mkdtempSync(join(tmpdir(), 'operations-'))
const file = join(folder, 'found.jsonl')
writeFileSync(file, '')
const { status } = spawnSync('vitest', ['run', '--root', root, source], {
  stdio: 'inherit',
  env: { ...process.env, OPERATIONS_FOUND: file },
})
const lines = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
rmSync(folder, { recursive: true })
if (!lines.some(({ kernels }) => kernels === 'own')) throw new Error(`the tests found nothing (exit code ${status})`)

const before = JSON.parse(readFileSync(findingsFile, 'utf8'))
const findings = {}
for (const { name, kind } of lines) findings[name] ??= { kind, backends: { ...before[name]?.backends } }
for (const own of lines.filter(({ kernels }) => kernels === 'own')) {
  const stock = lines.find((line) => line.kernels === 'stock' && line.name === own.name && line.backend === own.backend)
  const variants = lines.filter(
    (line) => line.kernels === 'own' && line.name === own.name && line.backend === own.backend,
  )
  findings[own.name].backends[own.backend] = {
    forward: word(own.forward, stock?.forward),
    gradient: word(own.gradient, stock?.gradient),
    error: Number(Math.max(...variants.map(({ error }) => error)).toPrecision(1)),
    ...failures(own, stock),
  }
}
writeFileSync(findingsFile, await prettier.format(JSON.stringify(findings), { parser: 'json' }))

const text = readFileSync(page, 'utf8')
const heading = text.indexOf('\n## Elementwise\n')
const intro = heading < 0 ? text : text.slice(0, heading + 1)
const options = await prettier.resolveConfig(page)
writeFileSync(
  page,
  await prettier.format(`${intro.trimEnd()}\n\n${operationTables(findings)}\n`, { ...options, parser: 'markdown' }),
)

/** What to say of our kernels beside the stock ones. */
function word(own, stock) {
  if (own !== 'ok' || stock === undefined || stock === 'ok') return own
  return stock === 'refused' ? 'added' : 'corrected'
}

/** What the stock kernels did where ours are right. */
function failures(own, stock) {
  const passes = ['forward', 'gradient'].filter((pass) =>
    ['added', 'corrected'].includes(word(own[pass], stock?.[pass])),
  )
  if (passes.length === 0) return {}
  return { stock: Object.fromEntries(passes.map((pass) => [pass, stock.reasons[pass].split('\n')[0].slice(0, 240)])) }
}

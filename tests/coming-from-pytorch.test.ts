import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as core from '@x/core-gpu'
import * as vq from '@x/vq'
import * as layers from '@x/vq/layers'
import { expect, it } from 'vitest'

const root = new URL('../', import.meta.url)
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8')
const page = read('apps/site/src/content/docs/coming-from-pytorch.md')

// Of each row what it says of PyTorch and, as code, what stands for it here.
const rows = page
  .split('\n')
  .filter((line) => /^\| [^-]/.test(line) && !/\| Here +\|/.test(line))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  .map(([, there = '', here = '', remarks = '']) => ({ there, here, remarks }))

const codeIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
/** What is called or made, begins with a capital, or is handed to something as it is. */
const exportsIn = (code: string): string[] => [
  ...new Set([...code.matchAll(/(?<![.\w])([a-z]\w*)(?=\()|(?<![.\w'])([A-Z]\w*)/g)].map(([name]) => name)),
]
const membersIn = (code: string): string[] => [...code.matchAll(/(?<!tf)\.([a-z]\w*)/g)].map(([, name]) => name!)
const wordsIn = (code: string): string[] =>
  [...code.replaceAll(/'[^']*'/g, '').matchAll(/(?<![.\w])([a-z]\w*)(?!\w*\()/g)].map(([, name]) => name!)

// What a reader puts own things in place of, and words of the language.
const placeholders = new Set(
  'codebook codeDim crossEntropy diversity estimate g groups lengths linear new orthogonal pass passes quantize quantizer rate rows size tf weight z'.split(
    ' ',
  ),
)

const exported = { ...core, ...vq, ...layers } as Record<string, unknown>
const sources = globSync('packages/{vq,core-gpu}/src/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] }).map(read)
const fields = new Set(sources.flatMap((text) => [...text.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name!)))
const members = new Set([
  ...fields,
  ...Object.values(exported).flatMap((value) =>
    typeof value === 'function' && value.prototype ? Object.getOwnPropertyNames(value.prototype) : [],
  ),
])

it('what the tables name is exported', () => {
  expect(rows.length).toBeGreaterThan(100)
  const named = new Set(rows.flatMap(({ here }) => codeIn(here).flatMap(exportsIn)))
  named.delete('quantize') // written without the quantizer that it is a method of
  expect(named.size).toBeGreaterThan(40)
  expect([...named].filter((name) => !(name in exported))).toEqual([])
})

it('what the tables name of quantizers and options is there', () => {
  const called = new Set(rows.flatMap(({ here }) => codeIn(here).flatMap(membersIn)))
  expect([...called].filter((name) => !members.has(name))).toEqual([])
  const words = new Set(rows.flatMap(({ here }) => codeIn(here).flatMap(wordsIn)))
  expect([...words].filter((name) => !fields.has(name) && !(name in exported) && !placeholders.has(name))).toEqual([])
})

it('what has no counterpart has a reason', () => {
  expect(rows.filter(({ here, remarks }) => here === 'none' && remarks === '')).toEqual([])
  expect(rows.filter(({ there, here }) => there === '' || here === '')).toEqual([])
})

it('the tables lack no class and no option', ({ skip }) => {
  const python = process.env.VQ_PYTORCH_PYTHON
  if (!python) return skip('VQ_PYTORCH_PYTHON names no Python that has vector-quantize-pytorch')
  const script = fileURLToPath(new URL('packages/vq/src/pytorch/peer.py', root))
  const options = execFileSync(python, [script, 'options'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.split(' ') as [string, string])
  expect(options.length).toBeGreaterThan(150)
  const sections = page.split(/^## /m).map((text): [string, string] => [text.slice(0, text.indexOf('\n')), text])
  const missing = options.filter(([name, option]) => {
    const section = sections.find(([title]) => title.split(/[ ,]+/).includes(name))
    return !section || !codeIn(section[1]).some((code) => code.replace(/^\*+/, '') === option)
  })
  expect(missing).toEqual([])
})

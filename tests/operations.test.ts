import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { findings } from '../packages/core-gpu/src/differential/findings.ts'
import { operations } from '../packages/core-gpu/src/differential/operations/index.ts'
import { operationTables } from '../packages/core-gpu/src/differential/table.ts'

const page = readFileSync(new URL('../apps/site/src/content/docs/operations.md', import.meta.url), 'utf8')

it('the page of operations has what the tests found', () => {
  const plain = (text: string): string => text.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---')
  expect(plain(page)).toContain(plain(operationTables(findings)))
})

it('every operation that is tested is on the page, and no other', () => {
  expect(Object.keys(findings).sort()).toEqual(operations.map(({ name }) => name).sort())
  expect(new Set(operations.map(({ name }) => name)).size).toBe(operations.length)
})

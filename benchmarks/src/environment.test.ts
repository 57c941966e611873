import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { idOfMachine, listGpus } from './environment.ts'

const machine = { cpu: 'a cpu', cores: 2, memoryGiB: 4, os: 'an os', arch: 'x64' }

it('lists the graphics cards that the driver names', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gpus-'))
  for (const [place, text] of [
    ['0000:02:00.0', 'Model: \t\t Second Card 8GB\nIRQ: 1\n'],
    ['0000:01:00.0', 'Model: \t\t First Card\nIRQ: 0\n'],
    ['0000:03:00.0', 'IRQ: 2\n'],
  ] as const) {
    mkdirSync(join(folder, place))
    writeFileSync(join(folder, place, 'information'), text)
  }
  expect(listGpus(folder)).toEqual(['First Card', 'Second Card 8GB', 'unknown'])
  expect(listGpus(join(folder, 'none'))).toEqual([])
  rmSync(folder, { recursive: true })
})

it('machines with different graphics cards are different machines', () => {
  const ids = [machine, { ...machine, gpus: ['First Card'] }, { ...machine, gpus: ['Second Card 8GB'] }].map(
    idOfMachine,
  )
  expect(new Set(ids).size).toBe(3)
})

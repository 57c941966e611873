import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadDigits, pixels, pixelsOf } from './data.ts'
import { gridOfDigits } from './picture.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'digits-'))
  vi.stubEnv('BENCH_DIR', folder)
})
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

describe('loadDigits', () => {
  it('splits 10,000 digits, always the same', () => {
    const { train, heldOut } = loadDigits()
    expect([train.count, heldOut.count]).toEqual([7996, 2004])
    expect(train.sha256).toBe('d3ea677173b0da27a8b192eacacb2dfd96b0545730cc270940617e4aab9b9b75')
    expect(heldOut.sha256).toBe('03cd5b3649d4476ad9c23415a1f98809963b6214d820adf9a67db186f0850386')
    for (const part of [train, heldOut]) {
      expect(createHash('sha256').update(part.bytes).digest('hex')).toBe(part.sha256)
    }
  })

  it('knows the class of every digit', () => {
    const require = createRequire(import.meta.url)
    const { train, heldOut } = loadDigits()
    expect([train.labels.length, heldOut.labels.length]).toEqual([train.count, heldOut.count])
    for (let digit = 0; digit < 10; digit++) {
      const { data } = require(`mnist/src/digits/${digit}.json`) as { data: number[] }
      const lengths = [train, heldOut].map(({ labels }) => labels.filter((label) => label === digit).length)
      expect(lengths[0]! + lengths[1]!).toBe(data.length / pixels)
      const first = heldOut.labels.indexOf(digit)
      const own = heldOut.bytes.subarray(first * pixels, (first + 1) * pixels)
      const expected = data.slice(lengths[0]! * pixels, (lengths[0]! + 1) * pixels)
      expect([...own]).toEqual(expected.map((value) => Math.round(value * 255)))
    }
  })

  it('keeps the bytes, and makes them again when they are not whole', () => {
    const data = join(folder, 'data')
    expect(readdirSync(data).sort()).toEqual(['mnist-10k-held-out.bin', 'mnist-10k-train.bin'])
    truncateSync(join(data, 'mnist-10k-train.bin'), 1000)
    expect(loadDigits().train.count).toBe(7996)
  })

  it('holds out enough digits to see every one of 512 codes', () => {
    expect(loadDigits().heldOut.count * 8).toBeGreaterThan(30 * 512 - 1)
  })

  it('gives digits as numbers from 0 to 1', () => {
    const { train } = loadDigits()
    const values = pixelsOf(train, [3, 0])
    expect(values).toHaveLength(2 * pixels)
    expect(values[pixels + 300]).toBeCloseTo(train.bytes[300]! / 255, 6)
    expect(Math.max(...values)).toBeLessThanOrEqual(1)
    expect(Math.max(...values)).toBeGreaterThan(0.9)
  })
})

describe('gridOfDigits', () => {
  it('draws rows of digits in grey', () => {
    const row = new Float32Array(2 * pixels)
    row[0] = 1
    row[pixels + 29] = 0.5
    const image = PNG.sync.read(Buffer.from(gridOfDigits([row, row], 2)))
    expect([image.width, image.height]).toEqual([58, 58])
    const grey = (x: number, y: number): number => image.data[4 * (y * image.width + x)]!
    expect([grey(0, 0), grey(1, 0), grey(31, 1), grey(0, 30), grey(28, 0)]).toEqual([0, 255, 128, 0, 255])
  })
})

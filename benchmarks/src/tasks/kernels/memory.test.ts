import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { peakDuring } from './memory.ts'

const measurable = existsSync('/proc/self/clear_refs')

it.runIf(measurable)('sees memory that was only held for a moment', async () => {
  const megabytes = 64
  const peak = await peakDuring(async () => {
    new Uint8Array(megabytes * 2 ** 20).fill(1)
    await Promise.resolve()
  })
  expect(peak! / 2 ** 20).toBeGreaterThan(megabytes - 4)
  expect(peak! / 2 ** 20).toBeLessThan(2 * megabytes)
  expect((await peakDuring(() => {}))! / 2 ** 20).toBeLessThan(16)
})

it.skipIf(measurable)('says nothing where the system does not', async () => {
  expect(await peakDuring(() => {})).toBeNull()
})

import { describe, expect, it } from 'vitest'
import { shareMemory } from './shared-heap.ts'

// Sections of a WebAssembly binary: a custom one, and a memory with flags, minimum 1 and maximum 2.
const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
const custom = [0, 3, 1, 0x78, 7]
const memory = (flags: number): number[] => [5, flags === 0 ? 3 : 4, 1, flags, 1, ...(flags === 0 ? [] : [2])]

describe('shareMemory', () => {
  it('marks the one memory as shared', () => {
    const binary = new Uint8Array([...header, ...custom, ...memory(1)])
    expect(shareMemory(binary)).toBe(true)
    expect(Array.from(binary)).toEqual([...header, ...custom, ...memory(3)])
    expect(WebAssembly.validate(binary)).toBe(true)
  })

  it('leaves alone what cannot be shared', () => {
    for (const sections of [memory(0), [], [5, 7, 2, 1, 1, 2, 1, 1, 2]]) {
      const binary = new Uint8Array([...header, ...custom, ...sections])
      const before = Array.from(binary)
      expect(shareMemory(binary)).toBe(false)
      expect(Array.from(binary)).toEqual(before)
    }
  })
})

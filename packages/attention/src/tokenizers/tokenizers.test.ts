import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bpeTokenizer, byteTokenizer, characterTokenizer, trainBpe } from '../index.ts'

const text = 'low lower lowest, new newer newest; wide wider widest: 12 123 1234! låg ' .repeat(6) // prettier-ignore

describe('tokenizers', () => {
  it('bytes bring every text back', () => {
    const { encode, decode, vocabulary } = byteTokenizer()
    expect(vocabulary).toBe(256)
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (any) => decode(encode(any)) === any))
    expect(encode('é')).toEqual([0xc3, 0xa9])
  })

  it('byte pairs bring every text back, known or not', () => {
    const { encode, decode } = trainBpe(text, 300)
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (any) => decode(encode(any)) === any))
    expect(decode(encode(text))).toBe(text)
    expect(decode(encode('\u{FEFF}x'))).toBe('\u{FEFF}x')
  })

  it('byte pairs learn the most frequent pair first, and the lower of two', () => {
    // "aab": aa and ab occur four times each, and aa is lower; then (aa)b, four times too.
    const { merges } = trainBpe('aab aab aab aab', 258)
    expect(merges[0]).toEqual([97, 97])
    expect(merges[1]).toEqual([256, 98])
    const trained = trainBpe(text, 320)
    expect(trained.encode(text).length).toBeLessThan(byteTokenizer().encode(text).length / 2)
    expect(trained.vocabulary).toBe(256 + trained.merges.length)
  })

  it('byte pairs stop where nothing occurs twice, and never join words', () => {
    expect(trainBpe('abc', 1000).merges).toEqual([])
    const { encode, decode } = trainBpe('the cat the cat the cat', 400)
    for (const token of encode('the cat')) expect(decode([token])).not.toMatch(/\S /)
  })

  it('counts pairs after merges as a recount of everything would', () => {
    const corpus = fc.array(fc.constantFrom('ab', 'aab', 'abab', 'bba', 'aaaa', 'b'), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(corpus, (words) => {
        const pieces = words.map((word, i) => Array.from(new TextEncoder().encode(i === 0 ? word : ` ${word}`)))
        const expected: [number, number][] = []
        for (let token = 256; token < 264; token++) {
          const counts = new Map<string, number>()
          for (const piece of pieces)
            for (let i = 0; i + 1 < piece.length; i++) {
              const pair = `${piece[i]} ${piece[i + 1]}`
              counts.set(pair, (counts.get(pair) ?? 0) + 1)
            }
          const pairs = [...counts].map(([pair, count]) => {
            const [left, right] = pair.split(' ').map(Number) as [number, number]
            return [left, right, count] as const
          })
          const best = pairs
            .filter(([, , count]) => count > 1)
            .sort((a, b) => b[2] - a[2] || a[0] - b[0] || a[1] - b[1])[0]
          if (!best) break
          expected.push([best[0], best[1]])
          for (const piece of pieces)
            for (let i = 0; i + 1 < piece.length; i++)
              if (piece[i] === best[0] && piece[i + 1] === best[1]) piece.splice(i, 2, token)
        }
        expect(trainBpe(words.join(' '), 264).merges).toEqual(expected)
      }),
    )
  })

  it('byte pairs are kept as their merges', () => {
    const trained = trainBpe(text, 300)
    const again = bpeTokenizer(JSON.parse(JSON.stringify(trained.merges)) as [number, number][])
    expect(again.encode(text)).toEqual(trained.encode(text))
    expect(again.vocabulary).toBe(trained.vocabulary)
  })

  it('characters are numbered in their order', () => {
    const { encode, decode, vocabulary } = characterTokenizer('hello 😀')
    expect(vocabulary).toBe(6)
    expect(encode(' eh')).toEqual([0, 1, 2])
    expect(decode(encode('😀 hello'))).toBe('😀 hello')
  })

  it('bad input is refused by name', () => {
    expect(() => characterTokenizer('')).toThrow(/^text/)
    expect(() => characterTokenizer('ab').encode('c')).toThrow(/^text.*"c"/)
    expect(() => characterTokenizer('ab').decode([2])).toThrow(/^tokens/)
    expect(() => byteTokenizer().decode([256])).toThrow(/^tokens/)
    expect(() => trainBpe('a', 255)).toThrow(/^vocabulary/)
    expect(() => bpeTokenizer([[97, 257]])).toThrow(/^merges\[0\]/)
    expect(() => trainBpe(text, 260).decode([-1])).toThrow(/^tokens/)
  })
})

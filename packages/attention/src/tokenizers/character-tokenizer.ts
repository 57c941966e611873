import { requireToken, type Tokenizer } from './tokenizer.ts'

/**
 * One token for each character (Unicode code point) of a text, in the order of their numbers.
 * @throws RangeError for an empty text
 */
export function characterTokenizer(text: string): Tokenizer {
  const characters = [...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  if (characters.length === 0) throw new RangeError('text: expected at least one character, got none')
  const numbers = new Map(characters.map((character, token) => [character, token]))
  return {
    vocabulary: characters.length,
    encode: (text) =>
      Array.from(text, (character) => {
        const token = numbers.get(character)
        if (token === undefined)
          throw new RangeError(`text: expected known characters, got ${JSON.stringify(character)}`)
        return token
      }),
    decode: (tokens) =>
      Array.from(tokens, (token) => {
        requireToken(token, characters.length)
        return characters[token]
      }).join(''),
  }
}

import { requireToken, type Tokenizer } from './tokenizer.ts'

/** The bytes of UTF-8: 256 tokens, and every text comes back, but for halves of surrogate pairs. */
export function byteTokenizer(): Tokenizer {
  return {
    vocabulary: 256,
    encode: (text) => Array.from(new TextEncoder().encode(text)),
    decode(tokens) {
      const bytes = [...tokens]
      for (const token of bytes) requireToken(token, 256)
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))
    },
  }
}

import { requireInteger } from '@x/core-gpu'
import { requireToken, type Tokenizer } from './tokenizer.ts'

/** Pairs of tokens that become one, in the order in which they were learned: the n-th becomes token 256 + n. */
export type Merges = readonly (readonly [left: number, right: number])[]

/** A byte-pair tokenizer; `merges` is all that has to be kept of it. */
export interface BpeTokenizer extends Tokenizer {
  readonly merges: Merges
}

/** Letters, numbers or signs with the space before them, or space alone: no token reaches across. */
const piecesOf = (text: string): string[] => text.match(/ ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+/gu) ?? []

/**
 * Learns merges from a text: again and again, the pair of neighbours that occurs most often becomes a token. arXiv 1508.07909
 *
 * Of pairs as frequent the one of lower tokens comes first. There are fewer merges where the text has no more pairs that occur twice.
 * @param vocabulary how many tokens, 256 for bytes among them
 * @throws RangeError unless the vocabulary is a whole number >= 256
 */
export function trainBpe(text: string, vocabulary: number): BpeTokenizer {
  requireInteger('vocabulary', vocabulary, 256)
  const encoder = new TextEncoder()
  const counts = new Map<string, number>()
  for (const piece of piecesOf(text)) counts.set(piece, (counts.get(piece) ?? 0) + 1)
  const words = [...counts].map(([piece, count]) => ({ tokens: Array.from(encoder.encode(piece)), count }))
  // How often each pair occurs, and the words that may hold it: a merge touches few of them.
  const pairs = new Map<number, { count: number; readonly words: Set<number> }>()
  const note = (word: number, sign: 1 | -1): void => {
    const { tokens, count } = words[word]!
    for (let i = 0; i + 1 < tokens.length; i++) {
      const id = pairId(tokens[i]!, tokens[i + 1]!)
      const pair = pairs.get(id) ?? { count: 0, words: new Set<number>() }
      pair.count += sign * count
      pair.words.add(word)
      pairs.set(id, pair)
    }
  }
  words.forEach((_, word) => note(word, 1))
  const merges: [number, number][] = []
  while (256 + merges.length < vocabulary) {
    let best: number | undefined
    let most = 1
    for (const [id, { count }] of pairs)
      if (count > most || (count === most && best !== undefined && id < best)) [best, most] = [id, count]
    if (best === undefined) break
    const [left, right] = [Math.floor(best / 2 ** 26), best % 2 ** 26]
    const token = 256 + merges.length
    merges.push([left, right])
    for (const word of pairs.get(best)!.words) {
      note(word, -1)
      words[word]!.tokens = joined(words[word]!.tokens, left, right, token)
      note(word, 1)
    }
    pairs.delete(best)
  }
  return bpeTokenizer(merges)
}

/**
 * A byte-pair tokenizer from merges that were kept. Every text comes back.
 * @throws RangeError for a merge of tokens that are not there before it
 */
export function bpeTokenizer(merges: Merges): BpeTokenizer {
  const ranks = new Map<number, number>()
  const bytes: Uint8Array[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte))
  merges.forEach(([left, right], rank) => {
    for (const part of [left, right])
      if (!Number.isInteger(part) || part < 0 || part >= 256 + rank)
        throw new RangeError(`merges[${rank}]: expected tokens below ${256 + rank}, got ${String(part)}`)
    ranks.set(pairId(left, right), rank)
    bytes.push(Uint8Array.of(...bytes[left]!, ...bytes[right]!))
  })
  const encoder = new TextEncoder()
  const known = new Map<string, readonly number[]>()
  const encodePiece = (piece: string): readonly number[] => {
    const found = known.get(piece)
    if (found) return found
    let tokens = Array.from(encoder.encode(piece))
    while (tokens.length > 1) {
      let first = Infinity
      for (let i = 0; i + 1 < tokens.length; i++)
        first = Math.min(first, ranks.get(pairId(tokens[i]!, tokens[i + 1]!)) ?? Infinity)
      if (first === Infinity) break
      tokens = joined(tokens, ...merges[first]!, 256 + first)
    }
    // Words come again and again; not so long runs of one kind.
    if (piece.length < 32) known.set(piece, tokens)
    return tokens
  }
  return {
    merges,
    vocabulary: bytes.length,
    encode: (text) => piecesOf(text).flatMap(encodePiece),
    decode(tokens) {
      const parts = Array.from(tokens, (token) => {
        requireToken(token, bytes.length)
        return bytes[token]!
      })
      const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
      let at = 0
      for (const part of parts) {
        all.set(part, at)
        at += part.length
      }
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(all)
    },
  }
}

function pairId(left: number, right: number): number {
  return left * 2 ** 26 + right
}

/** Tokens with every pair of `left` and `right` made one, from the left. */
function joined(tokens: readonly number[], left: number, right: number, token: number): number[] {
  const made: number[] = []
  for (let i = 0; i < tokens.length; i++) {
    const pair = tokens[i] === left && tokens[i + 1] === right
    made.push(pair ? token : tokens[i]!)
    if (pair) i++
  }
  return made
}

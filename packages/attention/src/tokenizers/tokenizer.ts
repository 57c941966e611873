/** Text as numbers, and back. */
export interface Tokenizer {
  /** V: tokens are 0 to V - 1 */
  readonly vocabulary: number
  /** @throws RangeError for text that has no tokens, where not all has */
  encode(text: string): number[]
  /** @throws RangeError for a token that there is not */
  decode(tokens: Iterable<number>): string
}

/** @throws RangeError for a token that is not from 0 to V - 1 */
export function requireToken(token: number, vocabulary: number): void {
  if (!Number.isInteger(token) || token < 0 || token >= vocabulary)
    throw new RangeError(`tokens: expected numbers from 0 to ${vocabulary - 1}, got ${String(token)}`)
}

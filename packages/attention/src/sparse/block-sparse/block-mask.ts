import { describeValue, type Key, requireInteger } from '@x/core-gpu'

/** Whether the queries of a block see the tokens of another; both are counted from 0 in blocks of the same size. */
export type BlockPattern = (query: number, token: number) => boolean

/** The last blocks, the query's own included, and as many to its right where `after` says so; default 0. */
export function windowBlocks(count: number, after = 0): BlockPattern {
  requireInteger('count', count, 1)
  requireInteger('after', after, 0)
  return (query, token) => token > query - count && token <= query + after
}

/** The first blocks, which all see; where `both`, they see all too. arXiv 2007.14062 */
export function globalBlocks(count: number, { both = false }: { readonly both?: boolean } = {}): BlockPattern {
  requireInteger('count', count, 1)
  return (query, token) => token < count || (both && query < count)
}

/** Every so manieth block, counted back from the query's own. arXiv 1904.10509 */
export function stridedBlocks(stride: number): BlockPattern {
  requireInteger('stride', stride, 1)
  return (query, token) => (((query - token) % stride) + stride) % stride === 0
}

/** Some blocks for each, drawn from a key, of all up to the query's own. arXiv 2007.14062 */
export function randomBlocks(count: number, key: Key): BlockPattern {
  requireInteger('count', count, 1)
  const drawn = new Map<number, ReadonlySet<number>>()
  const of = (query: number): ReadonlySet<number> => {
    let own = drawn.get(query)
    if (!own) {
      // The blocks with the least numbers, each drawn for itself.
      const words = [...key.fold(query).bits(query + 1)].map((word, block) => ({ word, block }))
      own = new Set(words.sort((a, b) => a.word - b.word).slice(0, count).map(({ block }) => block)) // prettier-ignore
      drawn.set(query, own)
    }
    return own
  }
  return (query, token) => of(query).has(token)
}

/** What any of them shows. */
export function anyOf(...patterns: readonly BlockPattern[]): BlockPattern {
  return (query, token) => patterns.some((pattern) => pattern(query, token))
}

/** What all of them show. */
export function allOf(...patterns: readonly BlockPattern[]): BlockPattern {
  return (query, token) => patterns.every((pattern) => pattern(query, token))
}

/** Which blocks are visible, in rows of blocks of queries. */
export interface BlockMask {
  readonly blockSize: number
  /** L and S; the last query stands at the last token */
  readonly queries: number
  readonly keys: number
  readonly causal: boolean
  /** of each block of queries, which stand at whole blocks of tokens: its queries from ... until, and the blocks of tokens that they see */
  readonly rows: readonly { readonly from: number; readonly until: number; readonly blocks: readonly number[] }[]
  /** which share of all pairs of a query and a token is computed */
  readonly share: number
}

export interface BlockMaskOptions {
  readonly queries: number
  /** default `queries` */
  readonly keys?: number
  /** default 64 */
  readonly blockSize?: number
  /** whether no query sees a later token, also within a block; default true */
  readonly causal?: boolean
}

/**
 * The visible blocks of a pattern.
 * @throws RangeError naming the option that is out of range
 */
export function blockMask(pattern: BlockPattern, options: BlockMaskOptions): BlockMask {
  const { queries, keys = queries, blockSize = 64, causal = true } = options
  requireInteger('queries', queries, 1)
  requireInteger('keys', keys, 1)
  requireInteger('blockSize', blockSize, 1)
  if (typeof pattern !== 'function') throw new TypeError(`pattern: expected a function, got ${describeValue(pattern)}`)
  if (keys < queries) throw new RangeError(`keys: expected at least as many as queries, ${queries}, got ${keys}`)
  const before = keys - queries
  const rows: { from: number; until: number; blocks: number[] }[] = []
  let computed = 0
  for (let block = Math.floor(before / blockSize); block * blockSize < keys; block++) {
    const from = Math.max(0, block * blockSize - before)
    const until = Math.min(queries, (block + 1) * blockSize - before)
    const last = causal ? block : Math.ceil(keys / blockSize) - 1
    const blocks = Array.from({ length: last + 1 }, (_, token) => token).filter((token) => pattern(block, token))
    rows.push({ from, until, blocks })
    const tokens = blocks.reduce((sum, token) => sum + Math.min(blockSize, keys - token * blockSize), 0)
    computed += (until - from) * tokens
  }
  return { blockSize, queries, keys, causal, rows, share: computed / (queries * keys) }
}

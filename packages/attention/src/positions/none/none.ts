import type { PositionEncoding } from '../position.ts'

/** No positions: order is known from the causal mask alone (NoPE, arXiv 2305.19466). */
export function none(): PositionEncoding {
  return { encoding: 'none' }
}

import * as tf from '@tensorflow/tfjs-core'
import { attend, type Attended, type AttendOptions, requireShape } from '@x/core-gpu'
import { tidyAttended } from '../../scoring/tidy-attended.ts'
import type { BlockMask } from './block-mask.ts'

export interface AttendBlocksOptions extends Pick<AttendOptions, 'scale' | 'softcap' | 'sinks'> {
  /** bool, [B or 1, h or 1, L or 1, S], beside what the blocks show */
  readonly mask?: tf.Tensor4D | undefined
  /** float32, shaped so */
  readonly bias?: tf.Tensor4D | undefined
}

/**
 * Attention of which only the visible blocks are computed; differentiable.
 *
 * The tokens that a block of queries sees are put together and attended to at once; nothing else is touched.
 * @param q [B, h, L, d]
 * @param k [B, g, S, d]
 * @param v [B, g, S, dv]
 * @returns output [B, h, L, dv], 0 for a query that sees nothing, and logSumExp [B, h, L]
 * @throws RangeError when shapes do not fit the mask
 */
export function attendBlocks(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  blocks: BlockMask,
  options: AttendBlocksOptions = {},
): Attended {
  const { queries, keys } = blocks
  requireShape('q', q, [null, null, queries, null])
  requireShape('k', k, [null, null, keys, null])
  requireShape('v', v, [null, null, keys, null])
  return tidyAttended(() => {
    const parts = blocks.rows.map((row) => attendRow(q, k, v, blocks, row, options))
    return {
      output: tf.concat(parts.map(({ output }) => output), 2),
      logSumExp: tf.concat(parts.map(({ logSumExp }) => logSumExp), 2),
    } // prettier-ignore
  })
}

function attendRow(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  { blockSize, queries, keys, causal }: BlockMask,
  { from, until, blocks }: BlockMask['rows'][number],
  { mask, bias, scale, softcap, sinks }: AttendBlocksOptions,
): Attended {
  const count = until - from
  const rows = (x: tf.Tensor4D): tf.Tensor4D => x.shape[2] === 1 ? x : tf.slice(x, [0, 0, from, 0], [-1, -1, count, -1]) // prettier-ignore
  const spans = spansOf(blocks, blockSize, keys)
  const take = (x: tf.Tensor4D, axis: 2 | 3): tf.Tensor4D => {
    const parts = spans.map(([start, end]) => {
      const [begin, size] = axis === 2 ? [[0, 0, start, 0], [-1, -1, end - start, -1]] : [[0, 0, 0, start], [-1, -1, -1, end - start]] // prettier-ignore
      return tf.slice(x, begin as [number, number, number, number], size as [number, number, number, number])
    })
    return parts.length === 1 ? parts[0]! : tf.concat(parts, axis)
  }
  const own = rows(q)
  if (spans.length === 0) {
    const [batch, heads] = own.shape
    return attend(own, tf.zeros([batch, k.shape[1], 0, k.shape[3]]), tf.zeros([batch, v.shape[1], 0, v.shape[3]]), heads > 0 && sinks ? { sinks } : {}) // prettier-ignore
  }
  const given = mask && take(rows(tf.cast(mask, 'float32')), 3)
  const visible = causal ? causalMask(spans, keys - queries + from, count) : undefined
  const both = given && (visible ? tf.logicalAnd(visible, tf.notEqual(given, 0)) : tf.notEqual(given, 0))
  return attend(own, take(k, 2), take(v, 2), {
    ...(scale !== undefined && { scale }),
    ...(softcap !== undefined && { softcap }),
    ...(sinks && { sinks }),
    ...((both ?? visible) && { mask: (both ?? visible)! }),
    ...(bias && { bias: take(rows(bias), 3) }),
  })
}

/** Blocks that follow one another as one stretch of tokens each. */
function spansOf(blocks: readonly number[], blockSize: number, keys: number): [start: number, end: number][] {
  const spans: [number, number][] = []
  for (const block of blocks) {
    const [start, end] = [block * blockSize, Math.min((block + 1) * blockSize, keys)]
    const last = spans.at(-1)
    if (last?.[1] === start) last[1] = end
    else spans.push([start, end])
  }
  return spans
}

/** Hides what comes later, [1, 1, count, tokens]; nothing where nothing does. */
function causalMask(spans: readonly [number, number][], first: number, count: number): tf.Tensor4D | undefined {
  const positions = spans.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i))
  if (positions.at(-1)! <= first) return undefined
  const query = tf.tensor4d(Array.from({ length: count }, (_, i) => first + i), [1, 1, count, 1]) // prettier-ignore
  return tf.lessEqual(tf.tensor4d(positions, [1, 1, 1, positions.length]), query)
}

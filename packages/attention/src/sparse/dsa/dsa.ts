import * as tf from '@tensorflow/tfjs-core'
import { defineMethod, integer, type Key, logSoftmax, type Method, softmax, stopGradient } from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../../attention.ts'
import type { Streams, Tokens } from '../../caches/cache.ts'
import { commonEntries } from '../../options.ts'
import type { PositionEncoding } from '../../positions/position.ts'
import { rope } from '../../positions/rope/rope.ts'
import { LatentProjection } from '../../projections/latent-projection.ts'
import type { MlaOptions } from '../../projections/mla/mla.ts'
import { latentEntries } from '../../projections/latent.ts'
import { requireTokens } from '../../softmax-attention.ts'
import { highest } from '../highest.ts'
import {
  attendVisible,
  overRows,
  rowsOf,
  type Rows,
  SparseAttention,
  type SparseCall,
  tokenPositions,
  type Turn,
} from '../sparse-attention.ts'
import { Indexer, rawScores } from './indexer.ts'

export interface DsaOptions extends Pick<
  MlaOptions,
  | 'dim'
  | 'heads'
  | 'kvRank'
  | 'queryRank'
  | 'nopeDim'
  | 'ropeDim'
  | 'valueDim'
  | 'latentNorm'
  | 'normEpsilon'
  | 'positions'
  | 'key'
> {
  /** heads of the indexer; default 4 */
  readonly indexHeads?: number
  /** width of the indexer's queries and keys, of which the first `ropeDim` turn; default 32 */
  readonly indexDim?: number
  /** tokens that a query attends to, at most; default 2048 */
  readonly topK?: number
}

export interface IndexerLossOptions {
  /** over which tokens: all that are visible, or those that are chosen; default `dense` */
  readonly over?: 'dense' | 'sparse'
}

/** Sparse attention over latents. */
export interface SparseLatentAttention extends Attention {
  /** tokens that a query attends to, at most */
  readonly topK: number
  /**
   * What the indexer is trained by: the KL divergence from attention, summed over its heads, to the indexer's softmax,
   * mean over queries. Its gradient reaches the indexer alone; that of `forward` never does.
   * @param x float32 [B, L, D]
   * @throws TypeError, RangeError when x is no such tensor
   */
  indexerLoss(x: tf.Tensor3D, options?: IndexerLossOptions): tf.Scalar
}

class LatentSparseAttention extends SparseAttention implements SparseLatentAttention {
  readonly projection: LatentProjection
  readonly indexer: Indexer
  readonly topK: number
  readonly #encoding: PositionEncoding
  readonly #scale: number

  constructor(options: Checked) {
    const { dim, heads, kvRank, valueDim = options.nopeDim, indexHeads, indexDim, key } = options
    const positions = options.positions ?? rope({ layout: 'interleaved' })
    const [projectionKey, outKey, indexerKey] = key.split(3) as [Key, Key, Key]
    if (options.ropeDim > indexDim)
      throw new RangeError(`indexDim: expected at least ropeDim ${options.ropeDim}, got ${indexDim}`)
    if (options.ropeDim > 0) positions.fit?.(options.ropeDim)
    super(dim, heads, valueDim, positions, outKey)
    this.projection = new LatentProjection({
      ...options,
      rank: kvRank,
      groups: 1,
      valueDim,
      path: 'auto',
      key: projectionKey,
    })
    const queryDim = options.queryRank > 0 ? options.queryRank : dim
    this.indexer = new Indexer({ dim, queryDim, heads: indexHeads, width: indexDim, key: indexerKey })
    this.topK = options.topK
    this.#encoding = positions
    this.#scale = this.projection.keyWidth ** -0.5 * (positions.scoreScale ?? 1)
  }

  get streams(): Streams {
    return { ...this.projection.streams, index: [1, this.indexer.width] }
  }

  protected tokens(x: tf.Tensor3D, turn: Turn): Tokens {
    const index = this.indexer.keys(stopGradient(x), this.#partly(turn))
    return { ...this.projection.tokens(x, { turn, turnsValues: false }), index }
  }

  protected attend(x: tf.Tensor3D, tokens: Tokens, call: SparseCall, turn: Turn): tf.Tensor4D {
    const { q, k, v, finish, keys } = this.#view(x, tokens, turn)
    const scoresOf = this.#scores(x, tokens, turn)
    const output = overRows(q, keys, call, (rows) => {
      const visible = this.#visible(rows, keys, call)
      return attendVisible(q, k, v, this.#chosen(stopGradient(scoresOf(rows)), visible), rows, call, this.#scale)
    })
    return finish?.(output) ?? output
  }

  indexerLoss(x: tf.Tensor3D, { over = 'dense' }: IndexerLossOptions = {}): tf.Scalar {
    requireTokens('x', x, this.dim)
    const [batch, length] = x.shape
    const positions = Array.from({ length }, (_, i) => i)
    const turn: Turn = (z) => this.#encoding.rotate?.(z, positions, { inverse: false }) ?? z
    return tf.tidy(() => {
      const tokens = this.tokens(x, turn)
      const { q, k, keys } = this.#view(x, tokens, turn)
      const scoresOf = this.#scores(x, tokens, turn)
      const call = { lengths: [length] }
      const divergences = overRows(q, keys, call, (rows) => {
        const scores = scoresOf(rows)
        const all = this.#visible(rows, keys, call)
        const visible = over === 'dense' ? all : this.#chosen(stopGradient(scores), all)
        // [B, h, rows, S] to [B, 1, rows, S]: what all heads attend to, together 1.
        const products = stopGradient(tf.matMul(rowsOf(q, rows), perHead(k, this.heads), false, true))
        const weights = softmax(tf.where(visible, tf.mul(products, this.#scale), hidden))
        const wanted = stopGradient(tf.mean(weights, 1, true))
        const own = logSoftmax(tf.where(visible, scores, hidden) as tf.Tensor4D)
        const terms = tf.mul(wanted, tf.sub(tf.log(tf.maximum(wanted, 1e-30)), own))
        return tf.sum(tf.where(visible, terms, 0), 3, true) // [B, 1, rows, 1]
      })
      return tf.div(tf.sum(divergences), batch * length)
    })
  }

  /** Queries and keys as the kernel reads them. */
  #view(x: tf.Tensor3D, tokens: Tokens, turn: Turn) {
    const { index: _, ...remembered } = tokens
    const keys = tokens['index']!.shape[2]
    const q = this.projection.queries(x, { turn, turnsValues: false })
    return { ...this.projection.view(q, remembered, { queries: x.shape[1], keys }), keys }
  }

  /** The indexer's scores of some queries, [B, 1, count, S]. */
  #scores(x: tf.Tensor3D, tokens: Tokens, turn: Turn): (rows: Rows) => tf.Tensor4D {
    // The indexer learns by its own loss alone, and changes nothing of what it reads.
    const input = stopGradient(x)
    const { qDown, qNorm } = this.projection
    const from = qDown ? stopGradient(qNorm!.forward(qDown.forward(x))) : input
    const q = this.indexer.queries(from, this.#partly(turn)) // [B, L, H, d]
    const w = this.indexer.headWeights(input)
    const k = tf.squeeze(tokens['index']!, [1]) as tf.Tensor3D
    return ({ from, count }) => {
      const scores = rawScores(
        tf.slice(q, [0, from, 0, 0], [-1, count, -1, -1]),
        k,
        tf.slice(w, [0, from, 0], [-1, count, -1]),
      )
      return tf.expandDims(scores, 1) as tf.Tensor4D
    }
  }

  /** Turns the first dimensions of the indexer's vectors. */
  #partly(turn: Turn): Turn {
    const { turnedWidth } = this.projection
    return (x) => {
      if (turnedWidth === 0) return x
      const [first, rest] = tf.split(x, [turnedWidth, x.shape[3] - turnedWidth], 3) as [tf.Tensor4D, tf.Tensor4D]
      return tf.concat([turn(first), rest], 3)
    }
  }

  /** Tokens that do not come later, and that the caller's mask lets through: those not to be chosen. */
  #visible(rows: Rows, keys: number, { mask }: SparseCall): tf.Tensor {
    const causal = tf.lessEqual(tokenPositions(keys), rows.query) // [B or 1, 1, rows, S]
    if (!mask || mask.shape[1] !== 1) return causal
    return tf.logicalAnd(causal, tf.notEqual(rowsOf(mask, rows), 0))
  }

  /** The tokens with the highest scores among the visible ones, bool [B, 1, rows, S]. */
  #chosen(scores: tf.Tensor4D, visible: tf.Tensor): tf.Tensor {
    const keys = scores.shape[3]
    if (keys <= this.topK) return visible
    const offered = tf.where(visible, scores, hidden)
    return tf.logicalAnd(visible, highest(offered as tf.Tensor4D, this.topK))
  }
}

const hidden = -3e38

/** k [B, g, S, d] for every head of queries. */
function perHead(k: tf.Tensor4D, heads: number): tf.Tensor4D {
  return k.shape[1] === heads ? k : tf.tile(k, [1, heads / k.shape[1], 1, 1])
}

type Checked = DsaOptions &
  Required<Pick<DsaOptions, 'key' | 'queryRank' | 'latentNorm' | 'normEpsilon' | 'indexHeads' | 'indexDim' | 'topK'>>

/**
 * DeepSeek's sparse attention: an indexer of few narrow heads scores all tokens, and multi-head latent attention attends
 * to the best of them. arXiv 2512.02556
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const dsa: Method<DsaOptions, SparseLatentAttention> = /* @__PURE__ */ defineMethod({
  id: 'attention/dsa',
  title: 'DSA',
  summary: 'A small indexer chooses which tokens each query attends to, over latents.',
  paper: {
    title: 'DeepSeek-V3.2: Pushing the Frontier of Open Large Language Models',
    arxiv: '2512.02556',
    year: 2025,
  },
  options: dsaEntries(),
  create: (options) => new LatentSparseAttention(options),
})

function dsaEntries() {
  const { dim, heads, positions, key } = commonEntries
  const { path: _, ...latents } = latentEntries
  return v.object({
    dim,
    heads,
    positions,
    key,
    ...latents,
    indexHeads: v.optional(integer(1), 4),
    indexDim: v.optional(integer(1), 32),
    topK: v.optional(integer(1), 2048),
  })
}

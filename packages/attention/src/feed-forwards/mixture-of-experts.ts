import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  canReadSync,
  describeValue,
  type Key,
  Linear,
  lookup,
  requireInteger,
  requireLastDimension,
  sigmoid,
  softmax,
  stopGradient,
  variable,
} from '@x/core-gpu'
import { SwiGlu } from '../decoder/feed-forward.ts'

export interface MixtureOfExpertsOptions {
  /** D */
  readonly dim: number
  /** width of an expert */
  readonly hiddenDim: number
  /** E, experts to choose from */
  readonly experts: number
  /** k, how many of them each token passes */
  readonly chosen: number
  /** how many experts' width every token passes beside them; default 0 */
  readonly shared?: number
  /** what makes a token's scores: `softmax` over all experts (default), or `sigmoid` of each, with a bias for the choice */
  readonly scoring?: 'softmax' | 'sigmoid'
  /** into how many groups of neighbours experts fall; default 1 */
  readonly groups?: number
  /** from how many groups a token's experts are chosen; default `groups` */
  readonly chosenGroups?: number
  /** whether the chosen scores are made to sum to 1; default false */
  readonly normalise?: boolean
  /** factor of what the chosen experts give; default 1 */
  readonly scale?: number
  /** draws the first weights */
  readonly key: Key
}

/** Which experts tokens pass. */
export interface Routes {
  /** int32 [N, k], in no order */
  readonly experts: tf.Tensor2D
  /** what each counts, [N, k] */
  readonly weights: tf.Tensor2D
}

/**
 * A mixture of experts in place of a feed-forward: each token passes the experts of its highest scores, and shared ones.
 *
 * With softmax as DeepSeek-V2 has it, a group counting by its best expert (arXiv 2405.04434); with sigmoid as
 * DeepSeek-V3, a bias added for the choice alone, a group counting by its best two (arXiv 2412.19437).
 *
 * On WebGPU, where nothing can be read at once, every expert works on every token.
 */
export class MixtureOfExperts extends BaseModule {
  /** gives scores before softmax or sigmoid */
  readonly router: Linear
  /** [E], added to the scores for the choice; not trained by gradients */
  readonly bias: tf.Variable | null
  readonly experts: readonly SwiGlu[]
  readonly shared: SwiGlu | null
  readonly dim: number
  readonly chosen: number
  readonly #groups: number
  readonly #chosenGroups: number
  readonly #normalise: boolean
  readonly #scale: number

  /** @throws RangeError naming the option that is wrong */
  constructor(options: MixtureOfExpertsOptions) {
    super()
    const { dim, hiddenDim, experts, chosen, shared = 0, scoring = 'softmax', normalise = false, scale = 1 } = options
    const { groups = 1, chosenGroups = groups } = options
    for (const [name, value] of Object.entries({ dim, hiddenDim, experts, chosen, groups, chosenGroups }))
      requireInteger(name, value, 1)
    requireInteger('shared', shared, 0)
    if (scoring !== 'softmax' && scoring !== 'sigmoid')
      throw new RangeError(`scoring: expected softmax or sigmoid, got ${describeValue(scoring)}`)
    if (experts % groups !== 0) throw new RangeError(`groups: expected a divisor of ${experts} experts, got ${groups}`)
    if (chosenGroups > groups)
      throw new RangeError(`chosenGroups: expected at most ${groups} groups, got ${chosenGroups}`)
    const open = (experts / groups) * chosenGroups
    if (chosen > open) throw new RangeError(`chosen: expected at most the ${open} experts of the groups, got ${chosen}`)
    const [routerKey, sharedKey, expertsKey] = options.key.split(3) as [Key, Key, Key]
    this.router = new Linear(dim, experts, { key: routerKey, bias: false })
    this.bias = scoring === 'sigmoid' ? variable(tf.zeros([experts]), { trainable: false }) : null
    this.experts = expertsKey.split(experts).map((own) => new SwiGlu(dim, hiddenDim, own))
    this.shared = shared > 0 ? new SwiGlu(dim, shared * hiddenDim, sharedKey) : null
    this.dim = dim
    this.chosen = chosen
    this.#groups = groups
    this.#chosenGroups = chosenGroups
    this.#normalise = normalise
    this.#scale = scale
  }

  /** @param x [..., D] @returns the same shape */
  forward(x: tf.Tensor): tf.Tensor {
    requireLastDimension('x', x, this.dim)
    return tf.tidy(() => {
      const rows = tf.reshape(x, [-1, this.dim]) as tf.Tensor2D
      const routes = this.routes(rows)
      const routed = canReadSync() ? this.#passChosen(rows, routes) : this.#passAll(rows, routes)
      const all = this.shared ? tf.add(routed, this.shared.forward(rows)) : routed
      return tf.reshape(all, x.shape)
    })
  }

  /**
   * Which experts tokens pass.
   * @param rows [N, D]
   */
  routes(rows: tf.Tensor2D): Routes {
    const [routed, weights] = tf.tidy(() => {
      const raw = this.router.forward(rows)
      const scores = (this.bias ? sigmoid(raw) : softmax(raw)) as tf.Tensor2D // [N, E]
      const chosen = this.#choose(stopGradient(scores))
      // Picked by products, since picking by place has no gradient.
      const picked = tf.sum(tf.mul(marks(chosen, this.experts.length), tf.expandDims(scores, 1)), 2) // [N, k]
      const sum = tf.add(tf.sum(picked, 1, true), 1e-20)
      return [chosen, tf.mul(this.#normalise ? tf.div(picked, sum) : picked, this.#scale) as tf.Tensor2D]
    })
    return { experts: routed, weights }
  }

  /** int32 [N, k] of scores [N, E]. */
  #choose(scores: tf.Tensor2D): tf.Tensor2D {
    const biased = this.bias ? tf.add(scores, this.bias) : scores
    if (this.#chosenGroups === this.#groups) return tf.topk(biased, this.chosen).indices as tf.Tensor2D
    const [count, experts] = scores.shape
    const each = experts / this.#groups
    const grouped = tf.reshape(biased, [count * this.#groups, each])
    const best = tf.topk(grouped, this.bias ? Math.min(2, each) : 1).values
    const standing = tf.reshape(tf.sum(best, 1), [count, this.#groups])
    const groups = tf.topk(standing, this.#chosenGroups).indices
    const open = tf.sum(marks(groups, this.#groups), 1) // [N, groups]
    const isOpen = tf.reshape(tf.tile(tf.expandDims(open, 2), [1, 1, each]), [count, experts])
    return tf.topk(tf.where(tf.cast(isOpen, 'bool'), biased, tf.fill([count, experts], lowest)), this.chosen)
      .indices as tf.Tensor2D
  }

  /** Every expert works on the tokens that chose it. */
  #passChosen(rows: tf.Tensor2D, { experts, weights }: Routes): tf.Tensor {
    const picks = experts.dataSync<'int32'>()
    const places: number[][] = this.experts.map(() => [])
    picks.forEach((expert, place) => places[expert]!.push(place))
    const made = places.flatMap((own, expert) => {
      if (own.length === 0) return []
      const tokens = own.map((place) => Math.floor(place / this.chosen))
      return [this.experts[expert]!.forward(lookup(rows, tf.tensor1d(tokens, 'int32')))]
    })
    const order = new Int32Array(picks.length)
    places.flat().forEach((place, row) => (order[place] = row))
    const passed = lookup(tf.concat(made) as tf.Tensor2D, tf.tensor2d(order, experts.shape)) // [N, k, D]
    return tf.sum(tf.mul(passed, tf.expandDims(weights, 2)), 1)
  }

  /** Every expert works on every token, and counts nothing where it was not chosen. */
  #passAll(rows: tf.Tensor2D, { experts, weights }: Routes): tf.Tensor {
    const shares = tf.sum(tf.mul(marks(experts, this.experts.length), tf.expandDims(weights, 2)), 1) // [N, E]
    const each = tf.split(shares, this.experts.length, 1)
    return tf.addN(this.experts.map((expert, i) => tf.mul(expert.forward(rows), each[i]!)))
  }
}

// Stands for -Infinity, which no constant of a WebGPU program can be.
const lowest = -3.4e38

/**
 * Places [N, k] as [N, k, count], 1 at each.
 *
 * On WebGPU a cast leaves whole numbers in the buffer, which its transposition cannot read; a product writes new ones.
 */
function marks(places: tf.Tensor, count: number): tf.Tensor {
  return tf.mul(tf.cast(tf.oneHot(tf.cast(places, 'int32'), count), 'float32'), 1)
}

// Attention as it is defined, in float64: what the tests compare with.
import type { AttendSizes } from './contract.ts'

type Numbers = ArrayLike<number>

/** One problem, in numbers: tensors row-major, bias and mask with their own shapes of rank 4. */
export interface ExactProblem {
  readonly sizes: AttendSizes
  readonly q: Numbers
  readonly k: Numbers
  readonly v: Numbers
  readonly scale?: number
  readonly softcap?: number
  /** whether the query at `position` may see `key`, apart from `mask` */
  readonly sees?: (position: number, key: number) => boolean
  readonly bias?: { readonly shape: readonly number[]; readonly values: Numbers }
  readonly mask?: { readonly shape: readonly number[]; readonly values: Numbers }
  readonly sinks?: Numbers
  readonly lengths?: Numbers
  readonly dOutput?: Numbers
  readonly dLogSumExp?: Numbers
}

/** Results and, where `dOutput` is given, gradients. */
export interface ExactResults {
  readonly output: Float64Array
  readonly logSumExp: Float64Array
  readonly dq: Float64Array
  readonly dk: Float64Array
  readonly dv: Float64Array
  readonly dBias: Float64Array
  readonly dSinks: Float64Array
}

/** Solves a problem by loops over every query and key. */
export function exactAttention(problem: ExactProblem): ExactResults {
  const { sizes, q, k, v, scale = sizes.width ** -0.5, softcap, bias, mask, sinks, dOutput, dLogSumExp } = problem
  const { batch, heads, groups, queries, keys, width, valueWidth } = sizes
  const results: ExactResults = {
    output: new Float64Array(batch * heads * queries * valueWidth),
    logSumExp: new Float64Array(batch * heads * queries),
    dq: new Float64Array(q.length),
    dk: new Float64Array(k.length),
    dv: new Float64Array(v.length),
    dBias: new Float64Array(bias?.values.length ?? 0),
    dSinks: new Float64Array(heads),
  }
  for (let b = 0; b < batch; b++) {
    const length = problem.lengths?.[b] ?? keys
    for (let head = 0; head < heads; head++) {
      const group = b * groups + Math.floor((head * groups) / heads)
      for (let i = 0; i < queries; i++) {
        const row = (b * heads + head) * queries + i
        const seen: { j: number; raw: number; score: number }[] = []
        for (let j = 0; j < length; j++) {
          const place = [b, head, i, j]
          if (problem.sees && !problem.sees(length - queries + i, j)) continue
          if (mask && !mask.values[broadcastIndex(place, mask.shape)]) continue
          let raw = 0
          for (let p = 0; p < width; p++) raw += q[row * width + p]! * k[(group * keys + j) * width + p]!
          raw *= scale
          if (softcap) raw = softcap * Math.tanh(raw / softcap)
          const score = raw + (bias ? bias.values[broadcastIndex(place, bias.shape)]! : 0)
          if (score > -Infinity) seen.push({ j, raw, score })
        }
        const sink = sinks ? sinks[head]! : -Infinity
        const most = Math.max(sink, ...seen.map(({ score }) => score))
        const total =
          most === -Infinity ? 0 : seen.reduce((sum, { score }) => sum + Math.exp(score - most), Math.exp(sink - most))
        const logSumExp = total === 0 ? -Infinity : most + Math.log(total)
        results.logSumExp[row] = logSumExp
        for (const { j, score } of seen)
          for (let p = 0; p < valueWidth; p++)
            results.output[row * valueWidth + p]! +=
              Math.exp(score - logSumExp) * v[(group * keys + j) * valueWidth + p]!
        if (!dOutput) continue

        let delta = -(dLogSumExp?.[row] ?? 0)
        for (let p = 0; p < valueWidth; p++)
          delta += dOutput[row * valueWidth + p]! * results.output[row * valueWidth + p]!
        if (sink > -Infinity) results.dSinks[head]! -= Math.exp(sink - logSumExp) * delta
        for (const { j, raw, score } of seen) {
          const weight = Math.exp(score - logSumExp)
          let dWeight = 0
          for (let p = 0; p < valueWidth; p++) {
            const at = (group * keys + j) * valueWidth + p
            dWeight += dOutput[row * valueWidth + p]! * v[at]!
            results.dv[at]! += weight * dOutput[row * valueWidth + p]!
          }
          const dScore = weight * (dWeight - delta)
          if (bias) results.dBias[broadcastIndex([b, head, i, j], bias.shape)]! += dScore
          const dRaw = dScore * scale * (softcap ? 1 - (raw / softcap) ** 2 : 1)
          for (let p = 0; p < width; p++) {
            results.dq[row * width + p]! += dRaw * k[(group * keys + j) * width + p]!
            results.dk[(group * keys + j) * width + p]! += dRaw * q[row * width + p]!
          }
        }
      }
    }
  }
  return results
}

function broadcastIndex(place: readonly number[], shape: readonly number[]): number {
  return shape.reduce((at, size, axis) => at * size + (size === 1 ? 0 : place[axis]!), 0)
}

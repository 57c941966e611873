import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { rope } from '../../positions/rope/rope.ts'
import { attentionConformance } from '../../testing/attention-conformance.ts'
import { nsa, type NsaOptions } from './nsa.ts'

const small: NsaOptions = { dim: 8, heads: 4, groups: 2, compressSize: 2, compressStride: 1, selectSize: 2, selected: 3, window: 2 } // prettier-ignore

/** The paper's formulas token by token, in double precision. */
async function byHand(
  attention: ReturnType<typeof nsa>,
  x: number[][],
  o: Required<Omit<NsaOptions, 'positions' | 'key'>>,
): Promise<number[][]> {
  const state = attention.state()
  const weight: Record<string, number[][]> = {}
  const bias: Record<string, number[]> = {}
  for (const [name, tensor] of Object.entries(state)) {
    if (tensor.rank === 2) weight[name] = (await tensor.array()) as number[][]
    else bias[name] = (await tensor.array()) as number[]
  }
  const apply = (name: string, row: number[]): number[] =>
    weight[`${name}.weight`]!.map((w, i) => w.reduce((sum, value, j) => sum + value * row[j]!, bias[`${name}.bias`]?.[i] ?? 0)) // prettier-ignore
  const dot = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0)
  const gelu = (z: number): number => 0.5 * z * (1 + erf(z / Math.SQRT2))
  const { heads, groups, headDim: d, compressSize: l, compressStride: s, selectSize, selected, window } = o
  const headOf = (row: number[], head: number): number[] => row.slice(head * d, (head + 1) * d)
  const q = x.map((row) => apply('q', row))
  const kv = { k: x.map((row) => apply('k', row)), v: x.map((row) => apply('v', row)) }
  const branch = (which: 'k' | 'v', part: number, token: number, group: number): number[] =>
    headOf(kv[which][token]!.slice(part * groups * d, (part + 1) * groups * d), group)
  const compress = (name: string, which: 'k' | 'v', block: number, group: number): number[] => {
    const flat = Array.from({ length: l }, (_, i) => branch(which, 0, block * s + i, group).map((value, c) => value + weight[`${name}.places`]![i]![c]!)).flat() // prettier-ignore
    return apply(`${name}.second`, apply(`${name}.first`, flat).map(gelu))
  }
  const attendTo = (query: number[], keys: number[][], values: number[][]): number[] => {
    const powers = keys.map((k) => Math.exp(dot(query, k) / Math.sqrt(d)))
    const sum = powers.reduce((a, b) => a + b, 0)
    return Array.from({ length: d }, (_, c) => keys.length === 0 ? 0 : values.reduce((total, value, i) => total + (powers[i]! / sum) * value[c]!, 0)) // prettier-ignore
  }
  return x.map((row, t) => {
    const gates = apply('gate', row).map((z) => 1 / (1 + Math.exp(-z)))
    const ends = Array.from({ length: Math.max(0, Math.floor((t + 1 - l) / s) + 1) }, (_, i) => i)
    const out: number[] = []
    for (let head = 0; head < heads; head++) {
      const group = Math.floor((head * groups) / heads)
      const query = headOf(q[t]!, head)
      const coarse = attendTo(query, ends.map((i) => compress('compressKeys', 'k', i, group)), ends.map((i) => compress('compressValues', 'v', i, group))) // prettier-ignore
      // Weights of the compressed blocks, summed over the group's heads, then over what a selected block covers.
      const total = ends.map(() => 0)
      for (let other = 0; other < heads; other++) {
        if (Math.floor((other * groups) / heads) !== group) continue
        const powers = ends.map((i) => Math.exp(dot(headOf(q[t]!, other), compress('compressKeys', 'k', i, group)) / Math.sqrt(d))) // prettier-ignore
        const sum = powers.reduce((a, b) => a + b, 0)
        powers.forEach((power, i) => (total[i]! += power / sum))
      }
      const own = Math.floor(t / selectSize)
      const scores = Array.from({ length: own + 1 }, (_, j) => {
        if (j === 0 || j >= own - 1) return Infinity
        let score = 0
        for (let m = 0; m < selectSize / s; m++)
          for (let n = 0; n < l / s; n++) score += total[(selectSize / s) * j + m - n] ?? 0
        return score
      })
      const best = new Set(scores.map((score, j) => ({ score, j })).sort((a, b) => b.score - a.score).slice(0, selected).map(({ j }) => j)) // prettier-ignore
      const past = Array.from({ length: t + 1 }, (_, i) => i)
      const chosen = past.filter((i) => best.has(Math.floor(i / selectSize)))
      const near = past.filter((i) => i > t - window)
      const fine = attendTo(query, chosen.map((i) => branch('k', 1, i, group)), chosen.map((i) => branch('v', 1, i, group))) // prettier-ignore
      const last = attendTo(query, near.map((i) => branch('k', 2, i, group)), near.map((i) => branch('v', 2, i, group))) // prettier-ignore
      for (let c = 0; c < d; c++)
        out.push(gates[head]! * coarse[c]! + gates[heads + head]! * fine[c]! + gates[2 * heads + head]! * last[c]!)
    }
    return apply('out', out)
  })
}

/** Abramowitz and Stegun 7.1.26 is not exact enough: the series is. */
function erf(z: number): number {
  let [term, sum] = [z, z]
  for (let n = 1; n < 60; n++) {
    term *= (-z * z) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

describe.each(['cpu', 'wasm'] as const)('nsa on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each([
    { ...small },
    { ...small, compressSize: 4, compressStride: 2, selectSize: 4, window: 5 },
    { ...small, groups: 1, compressSize: 2, compressStride: 2, selectSize: 2 },
    { ...small, groups: 4, headDim: 3, selected: 4 },
  ])('is what the paper writes, %o', async (options) => {
    const attention = nsa({ ...options, key: key(2) })
    const x = key(3).normal<tf.Rank.R3>([1, 13, 8])
    const y = attention.forward(x)
    const wanted = await byHand(attention, (await x.array())[0]!, { headDim: 2, groups: 4, ...options } as never)
    const got = (await y.array())[0]!
    wanted.forEach((row, t) => row.forEach((value, c) => expect(Math.abs(got[t]![c]! - value)).toBeLessThan(2e-5 * (1 + Math.abs(value))))) // prettier-ignore
    tf.dispose([x, y])
    attention.dispose()
  })

  it.each(
    attentionConformance(nsa, {
      options: (key) => ({ ...small, positions: rope(), key }),
      badOptions: {
        dim: [0],
        heads: [0],
        groups: [3],
        compressSize: [0],
        compressStride: [3],
        selectSize: [0],
        selected: [2],
        window: [0],
        key: [1],
      },
      elementsPerToken: 6 * 2 * 2,
    }),
  )('$name', ({ run }) => run())
})

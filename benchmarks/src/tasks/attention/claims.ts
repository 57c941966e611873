import { mean, median } from '../../statistics.ts'
import { type ClaimDefinition, defineClaim, type Series } from '../../verdicts.ts'
import { lengths } from './memory/memory.ts'

type Source = ClaimDefinition['source']

const essay: Source = {
  title: 'kexue.fm/archives/10907, on what is good about MLA',
  where: 'losses of models with equal parameters and caches',
}

const atEqualCache = (method: string): Series => ({
  task: 'attention/lm',
  method,
  metric: 'bits',
  params: { comparison: 'equal cache' },
})

/** That one method's held-out bits are, on the mean of the seeds, at most another's. */
const isAtMost = (
  id: string,
  claim: string,
  [method, than]: readonly [string, string],
  source: Source = essay,
): ClaimDefinition =>
  defineClaim({
    id,
    claim,
    source,
    measured: 'held-out bits per character of Moby Dick, equal parameters, 64 numbers of a token in each layer',
    series: { own: atEqualCache(method), others: atEqualCache(than) },
    condition: 'at or below the other on the mean of the seeds',
    holds: ({ own, others }) => mean(own) <= mean(others),
  })

const ours: Source = { title: '@x/attention', where: 'our own statement' }

const cacheOf = (method: string, metric: string): Series => ({
  task: 'attention/cache',
  method,
  metric,
  params: { model: 'deepseek-v2' },
})

const decoding = (method: string, metric: string): Series => ({
  task: 'attention/decode',
  method,
  metric,
  params: { context: 8192, heads: 16 },
})

const tiled = Object.fromEntries(
  lengths['tiled']!.map((length) => [
    String(length),
    { task: 'attention/memory', method: 'tiled', metric: 'memory', params: { length } },
  ]),
) as Record<string, Series>

/** Slope of log y over log x, by least squares. */
function exponentOf(points: readonly (readonly [x: number, y: number])[]): number {
  const [xs, ys] = [points.map(([x]) => Math.log(x)), points.map(([, y]) => Math.log(y))]
  const [x, y] = [mean(xs), mean(ys)]
  const covariance = mean(xs.map((value, i) => (value - x) * (ys[i]! - y)))
  return covariance / mean(xs.map((value) => (value - x) ** 2))
}

/** What is said of attentions and their caches, by papers and here. */
export const attentionClaims: readonly ClaimDefinition[] = [
  isAtMost('mla-equal-cache', 'At equal cache, MLA predicts at least as well as GQA', ['mla', 'gqa'], {
    title: 'DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model',
    arxiv: '2405.04434',
    where: 'Section 2.1: stronger than MHA with the cache of GQA with few groups',
  }),
  isAtMost('head-size', 'At equal cache, one head of twice the size predicts at least as well as two heads', [
    'mqa',
    'gqa',
  ]),
  isAtMost('partial-rope', 'Turning half of a head predicts at least as well as turning all of it', [
    'mqa-partial',
    'mqa',
  ]),
  isAtMost('shared-kv', 'One row that is key and value of all heads predicts at least as well as MLA', [
    'shared-kv',
    'mla',
  ]),
  defineClaim({
    id: 'kv-bytes',
    claim:
      'For DeepSeek-V2’s shape a token leaves 32768 numbers in each layer with MHA, 2048 with GQA-8, 256 with MQA, 576 with MLA',
    source: {
      title: 'DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model',
      arxiv: '2405.04434',
      where: 'Table 1',
    },
    measured: 'bytes of live float32 buffers for each token, by 4; and those of the float8 scheme',
    series: {
      mha: cacheOf('mha', 'float32'),
      gqa: cacheOf('gqa-8', 'float32'),
      mqa: cacheOf('mqa', 'float32'),
      mla: cacheOf('own', 'float32'),
      latentFp8: cacheOf('own', 'fp8'),
    },
    condition: 'exactly those, and 656 bytes in float8',
    holds: ({ mha, gqa, mqa, mla, latentFp8 }) =>
      mha[0] === 4 * 32_768 && gqa[0] === 4 * 2048 && mqa[0] === 4 * 256 && mla[0] === 4 * 576 && latentFp8[0] === 656,
  }),
  defineClaim({
    id: 'kv-saving',
    claim: 'MLA holds 93.3 % less than DeepSeek 67B',
    source: {
      title: 'DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model',
      arxiv: '2405.04434',
      where: 'Abstract',
    },
    measured: 'caches of both models at 128K tokens with as many bits for each number',
    series: {
      dense: { task: 'attention/cache', method: 'own', metric: 'at128k', params: { model: 'deepseek-67b' } },
      mla: cacheOf('own', 'at128k'),
    },
    condition: 'a share of 6.7 % or less remains',
    holds: ({ dense, mla }) => mla[0]! / dense[0]! <= 0.067,
  }),
  defineClaim({
    id: 'mla-decode',
    claim:
      'At a context of 8192 MLA decodes at least three times as fast through its cache as by computing the context again, with at most a twentieth of MHA’s cache',
    source: ours,
    measured: 'one layer of 16 heads of 64',
    series: {
      cached: decoding('mla', 'tokensPerSecond'),
      rerun: decoding('mla', 'rerun'),
      mla: decoding('mla', 'cache'),
      mha: decoding('mha', 'cache'),
    },
    condition: 'ratio of the medians at least 3, ratio of the caches at most 1/20',
    holds: ({ cached, rerun, mla, mha }) => median(cached) >= 3 * median(rerun) && mla[0]! <= mha[0]! / 20,
  }),
  defineClaim({
    id: 'attention-memory',
    claim: 'Memory of attention grows with the length of the sequence, not with its square',
    source: {
      title: 'FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness',
      arxiv: '2205.14135',
      where: 'Theorem 1: additional memory linear in the length',
    },
    measured: 'rise of memory in a fresh process, from 1024 to 32768 tokens',
    series: tiled,
    condition: 'exponent fitted to them at most 1.1',
    holds: (figures) =>
      exponentOf(Object.entries(figures).map(([length, [megabytes]]) => [Number(length), megabytes!])) <= 1.1,
  }),
]

import { mean } from '../../statistics.ts'
import { type ClaimDefinition, defineClaim, type Series } from '../../verdicts.ts'

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
]

import {
  checkBytes,
  checkIndexer,
  checkJointSvd,
  checkMfa,
  checkMla,
  checkModule,
  checkPooling,
  checkQkNorm,
  checkRope,
  checkScoreGradients,
  checkScores,
  checkStorage,
  checkStoredAttention,
  checkToMla,
  checkTpa,
  checkVoRope,
  checkYarn,
} from './checks.ts'
import { type GoldenRecord, goldenRecord, goldenRecords } from './golden.ts'

/** Every group of records that this package answers for, with what compares it. */
export function goldenSuites(): [
  group: string,
  records: GoldenRecord[],
  compare: (record: GoldenRecord) => Promise<void>,
][] {
  return [
    ['rope', goldenRecords('rope'), checkRope],
    ['yarn', goldenRecords('yarn'), checkYarn],
    ['vo-rope', goldenRecords('vo-rope'), checkVoRope],
    ['qk-norm', [goldenRecord('qk-norm-gqa-rope')], checkQkNorm],
    // The one with a procedure of its own is a test of the kernel.
    ['sdpa', goldenRecords('sdpa', ({ id }) => id !== 'sdpa-max-key-in-each-slot'), checkScores],
    ['gqa', goldenRecords('gqa'), checkScores],
    ['softcap', goldenRecords('softcap'), checkScores],
    ['window', goldenRecords('window'), checkScores],
    ['alibi', goldenRecords('alibi'), checkScores],
    ['sinks', goldenRecords('sinks'), checkScores],
    ['grad', goldenRecords('grad'), checkScoreGradients],
    ['module', goldenRecords('module'), checkModule],
    ['gated', goldenRecords('gated'), checkModule],
    ['mla', goldenRecords('mla'), checkMla],
    ['mfa', [goldenRecord('mfa')], checkMfa],
    ['tpa', [goldenRecord('tpa')], checkTpa],
    ['to mla', goldenRecords('convert', ({ id }) => id.endsWith('-to-mla')), checkToMla],
    ['pooling', [goldenRecord('convert-mha-to-gqa-meanpool')], checkPooling],
    ['joint svd', [goldenRecord('convert-joint-svd')], checkJointSvd],
    ['storages', goldenRecords('quant', ({ id }) => id !== 'quant-int8-attention'), checkStorage],
    ['stored attention', [goldenRecord('quant-int8-attention')], checkStoredAttention],
    ['indexer', [goldenRecord('dsa-indexer')], checkIndexer],
    ['bytes', goldenRecords('kv-bytes'), checkBytes],
  ]
}

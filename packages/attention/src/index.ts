export type { Attention, AttentionOptions, KvCache } from './attention.ts'

export { attentionConformance, type AttentionExample } from './attention-conformance.ts'

export {
  attentionLayer,
  AttentionLayer,
  type AttentionLayerOptions,
  crossAttentionLayer,
  CrossAttentionLayer,
  type PlainPositions,
} from './attention-layer.ts'

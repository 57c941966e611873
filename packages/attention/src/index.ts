// What every use of this package needs from the core.
export { key, type Key, useBackend } from '@x/core-gpu'
export type { Attention, AttentionOptions, ForwardOptions } from './attention.ts'
export { BaseCache } from './caches/base-cache.ts'
export type {
  CacheKind,
  CacheKindOptions,
  CacheOptions,
  KvCache,
  Reach,
  ReadOptions,
  StorageOption,
  StoredBlock,
  Streams,
  Tokens,
} from './caches/cache.ts'
export { cacheBytes, type CacheBytesOptions } from './caches/cache-bytes.ts'
export { contiguous, ContiguousCache } from './caches/contiguous/contiguous.ts'
export { LatentCache, type LatentCacheOptions, type LatentSizes, latentStreams } from './caches/latent/latent.ts'
export { PagePool, type PagePoolOptions } from './caches/paged/page-pool.ts'
export { paged, PagedCache, type PagedOptions } from './caches/paged/paged.ts'
export { perChannel, PerChannelCache, type PerChannelOptions } from './caches/per-channel/per-channel.ts'
export { ring, RingCache, type RingOptions } from './caches/ring/ring.ts'
export type { HuggingFaceConfig } from './checkpoints/configuration.ts'
export { deepseekDecoder } from './checkpoints/deepseek-decoder.ts'
export { loadDecoder } from './checkpoints/load-decoder.ts'
export { type CheckpointDecoderOptions, llamaDecoder } from './checkpoints/llama-decoder.ts'
export { openCheckpoint, type WeightsSource } from './checkpoints/open-checkpoint.ts'
export type { TensorEntry, TensorSource } from './checkpoints/tensor-source.ts'
export { exportWeights, type LoadedWeights, loadWeights, type LoadWeightsOptions } from './checkpoints/weights.ts'
export { gqaToMla } from './conversions/gqa-to-mla.ts'
export { mhaToGqa, type MhaToGqaOptions } from './conversions/mha-to-gqa.ts'
export { type LowRankAttention, mhaToMla, type MhaToMlaOptions } from './conversions/mha-to-mla.ts'
export { type Decoder, decoder, type DecoderOptions, type FeedForward, type LogitsOptions } from './decoder/decoder.ts'
export type { DecoderCache } from './decoder/decoder-cache.ts'
export { SwiGlu } from './decoder/feed-forward.ts'
export { crossEntropy, nextTokenLoss, type NextTokenLossOptions } from './decoder/next-token-loss.ts'
export { BiasedSwiGlu } from './feed-forwards/biased-swiglu.ts'
export { MixtureOfExperts, type MixtureOfExpertsOptions, type Routes } from './feed-forwards/mixture-of-experts.ts'
export { generate, type GeneratedToken, type GenerateOptions, stream } from './generation/generate.ts'
export type { Prompts } from './generation/prompts.ts'
export { speculate, type Speculated, type SpeculateOptions } from './generation/speculate.ts'
export { drawToken, type SamplingOptions, tokenDistribution } from './generation/token-distribution.ts'
export type { CommonOptions } from './options.ts'
export { forwardPacked } from './packed.ts'
export { methods } from './methods.ts'
export { alibi, alibiSlopes } from './positions/alibi/alibi.ts'
export { linearScaling } from './positions/linear/linear.ts'
export { type Llama3Options, llama3Scaling } from './positions/llama3/llama3.ts'
export { none } from './positions/none/none.ts'
export { type DynamicNtkOptions, dynamicNtkScaling, ntkScaling } from './positions/ntk/ntk.ts'
export { isPositionEncoding, type PositionEncoding, type Positions } from './positions/position.ts'
export { angleTables } from './positions/rope/angles.ts'
export { type LayoutOptions, toHalfLayout, toInterleavedLayout } from './positions/rope/layouts.ts'
export {
  type FrequencyContext,
  type FrequencyScaling,
  rope,
  type RopeOptions,
  scaledFrequencies,
} from './positions/rope/rope.ts'
export { voRope } from './positions/vo-rope/vo-rope.ts'
export { yarn, yarnMagnitude, type YarnOptions, yarnRamp } from './positions/yarn/yarn.ts'
export { type CrossAttention, crossAttention, type CrossAttentionOptions } from './projections/cross/cross.ts'
export { gla, type GlaOptions } from './projections/gla/gla.ts'
export { gqa, type GqaOptions } from './projections/gqa/gqa.ts'
export type { GroupedAttention, HeadOptions } from './projections/grouped.ts'
export { GroupedProjection, type GroupedProjectionOptions } from './projections/grouped-projection.ts'
export { gta, type GtaOptions } from './projections/gta/gta.ts'
export type { LatentOptions } from './projections/latent.ts'
export { type LatentPath, LatentProjection, type LatentProjectionOptions } from './projections/latent-projection.ts'
export { mfa, type MfaOptions } from './projections/mfa/mfa.ts'
export { mha, type MhaOptions } from './projections/mha/mha.ts'
export { mla, type MlaOptions } from './projections/mla/mla.ts'
export { mqa, type MqaOptions } from './projections/mqa/mqa.ts'
export type { Projection, ProjectionContext, View, ViewSizes } from './projections/projection.ts'
export { tpa, type TpaOptions } from './projections/tpa/tpa.ts'
export type { ScoreMod, ScorePlace } from './scoring/scoring.ts'
export { SoftmaxAttention, type SoftmaxAttentionParts } from './softmax-attention.ts'
export {
  allOf,
  anyOf,
  blockMask,
  type BlockMask,
  type BlockMaskOptions,
  type BlockPattern,
  globalBlocks,
  randomBlocks,
  stridedBlocks,
  windowBlocks,
} from './sparse/block-sparse/block-mask.ts'
export { attendBlocks, type AttendBlocksOptions } from './sparse/block-sparse/attend-blocks.ts'
export { blockSparse, type BlockSparseOptions } from './sparse/block-sparse/block-sparse.ts'
export { dsa, type DsaOptions, type IndexerLossOptions, type SparseLatentAttention } from './sparse/dsa/dsa.ts'
export { indexerScores } from './sparse/dsa/indexer.ts'
export { nsa, type NsaOptions } from './sparse/nsa/nsa.ts'
export type { BytesOptions } from './storages/bytes/scaled-bytes.ts'
export { columns, latentFp8, type LatentFp8Options } from './storages/columns/columns.ts'
export { float16 } from './storages/float16/float16.ts'
export { float32 } from './storages/float32/float32.ts'
export { fp8 } from './storages/fp8/fp8.ts'
export { int8 } from './storages/int8/int8.ts'
export { isStorage, type RowPart, type Storage } from './storages/storage.ts'
export { bpeTokenizer, type BpeTokenizer, type Merges, trainBpe } from './tokenizers/bpe-tokenizer.ts'
export { byteTokenizer } from './tokenizers/byte-tokenizer.ts'
export { characterTokenizer } from './tokenizers/character-tokenizer.ts'
export type { Tokenizer } from './tokenizers/tokenizer.ts'

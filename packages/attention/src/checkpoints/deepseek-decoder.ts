import { integer, key as makeKey } from '@x/core-gpu'
import * as v from 'valibot'
import { type Decoder, decoder } from '../decoder/decoder.ts'
import { SwiGlu } from '../decoder/feed-forward.ts'
import { MixtureOfExperts } from '../feed-forwards/mixture-of-experts.ts'
import { mla } from '../projections/mla/mla.ts'
import { commonConfig, type HuggingFaceConfig, readConfig, ropeOf } from './configuration.ts'
import type { CheckpointDecoderOptions } from './llama-decoder.ts'

const shared = {
  ...commonConfig,
  kv_lora_rank: integer(1),
  q_lora_rank: v.nullish(integer(0), 0),
  qk_nope_head_dim: integer(1),
  qk_rope_head_dim: integer(2),
  v_head_dim: integer(1),
  attention_bias: v.nullish(v.literal(false)),
  mlp_bias: v.nullish(v.literal(false)),
  n_routed_experts: v.nullish(integer(1)),
  n_shared_experts: v.nullish(integer(0), 0),
  num_experts_per_tok: v.nullish(integer(1)),
  moe_intermediate_size: v.nullish(integer(1)),
  first_k_dense_replace: v.nullish(integer(0), 0),
  moe_layer_freq: v.nullish(integer(1), 1),
  n_group: v.nullish(integer(1), 1),
  topk_group: v.nullish(integer(1)),
  routed_scaling_factor: v.nullish(v.number(), 1),
}

const schema = v.variant('model_type', [
  v.object({
    ...shared,
    model_type: v.literal('deepseek_v2'),
    topk_method: v.nullish(v.picklist(['greedy', 'group_limited_greedy']), 'greedy'),
    scoring_func: v.nullish(v.literal('softmax')),
    // DeepSeek's own code and others' disagree about what then becomes of the factor.
    norm_topk_prob: v.nullish(v.literal(false), false),
  }),
  v.object({
    ...shared,
    model_type: v.literal('deepseek_v3'),
    topk_method: v.nullish(v.literal('noaux_tc'), 'noaux_tc'),
    scoring_func: v.nullish(v.literal('sigmoid')),
    norm_topk_prob: v.nullish(v.boolean(), true),
    rope_interleave: v.nullish(v.boolean(), true),
  }),
])

/**
 * A decoder as a configuration of Hugging Face describes it, for DeepSeek-V2 and DeepSeek-V3: latent attention with YaRN,
 * dense layers first, then mixtures of experts. arXiv 2405.04434, 2412.19437
 * @param config what `config.json` holds
 * @throws TypeError or RangeError naming what is wrong or not known here, such as `config.attention_bias`
 */
export function deepseekDecoder(
  config: HuggingFaceConfig,
  { key = makeKey(0) }: CheckpointDecoderOptions = {},
): Decoder {
  const read = readConfig(schema, config)
  const { hidden_size: dim, n_routed_experts: experts } = read
  const isThird = read.model_type === 'deepseek_v3'
  const layout = isThird && !read.rope_interleave ? 'half' : 'interleaved'
  const positions = ropeOf(read, { layout, scaleScores: true })
  // Groups without the choice among them have no effect.
  const groups = read.topk_method === 'greedy' ? 1 : read.n_group
  const hasExperts = (layer: number): boolean =>
    Boolean(experts) && layer >= read.first_k_dense_replace && layer % read.moe_layer_freq === 0
  const need = (name: 'num_experts_per_tok' | 'moe_intermediate_size'): number => {
    const value = read[name]
    if (!value) throw new TypeError(`config.${name}: expected a number beside n_routed_experts, got ${value}`)
    return value
  }
  return decoder({
    vocabulary: read.vocab_size,
    dim,
    layers: read.num_hidden_layers,
    tied: read.tie_word_embeddings,
    normEpsilon: read.rms_norm_eps,
    key,
    attention: (_, own) =>
      mla({
        dim,
        heads: read.num_attention_heads,
        kvRank: read.kv_lora_rank,
        queryRank: read.q_lora_rank,
        nopeDim: read.qk_nope_head_dim,
        ropeDim: read.qk_rope_head_dim,
        valueDim: read.v_head_dim,
        positions,
        key: own,
      }),
    feedForward: (layer, own) =>
      hasExperts(layer)
        ? new MixtureOfExperts({
            dim,
            hiddenDim: need('moe_intermediate_size'),
            experts: experts!,
            chosen: need('num_experts_per_tok'),
            shared: read.n_shared_experts,
            scoring: isThird ? 'sigmoid' : 'softmax',
            groups,
            chosenGroups: groups === 1 ? 1 : (read.topk_group ?? groups),
            normalise: read.norm_topk_prob,
            scale: read.routed_scaling_factor,
            key: own,
          })
        : new SwiGlu(dim, read.intermediate_size, own),
  })
}

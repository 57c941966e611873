import { integer, key as makeKey, type Key } from '@x/core-gpu'
import * as v from 'valibot'
import { type Decoder, decoder } from '../decoder/decoder.ts'
import { SwiGlu } from '../decoder/feed-forward.ts'
import { BiasedSwiGlu } from '../feed-forwards/biased-swiglu.ts'
import { gqa } from '../projections/gqa/gqa.ts'
import { commonConfig, type HuggingFaceConfig, readConfig, ropeOf } from './configuration.ts'

export interface CheckpointDecoderOptions {
  /** draws the first weights; default `key(0)` */
  readonly key?: Key
}

const schema = v.object({
  ...commonConfig,
  model_type: v.picklist(['llama', 'mistral', 'qwen2', 'qwen3']),
  num_key_value_heads: v.nullish(integer(1)),
  head_dim: v.nullish(integer(1)),
  attention_bias: v.nullish(v.boolean(), false),
  mlp_bias: v.nullish(v.boolean(), false),
  sliding_window: v.nullish(integer(1)),
  use_sliding_window: v.nullish(v.boolean(), false),
  max_window_layers: v.nullish(integer(0), 28),
  layer_types: v.nullish(v.array(v.picklist(['full_attention', 'sliding_attention']))),
})

/**
 * A decoder as a configuration of Hugging Face describes it, for models of Llama's kind: Llama, Mistral, Qwen2, Qwen3.
 *
 * Grouped queries, rotary positions as Llama 3, YaRN or a factor scales them, biases and norms of queries and keys where
 * the model has them, windows, a head that is tied or not. arXiv 2302.13971, 2407.21783, 2310.06825, 2505.09388
 * @param config what `config.json` holds
 * @throws TypeError or RangeError naming what is wrong or not known here, such as `config.hidden_act`
 */
export function llamaDecoder(config: HuggingFaceConfig, { key = makeKey(0) }: CheckpointDecoderOptions = {}): Decoder {
  const read = readConfig(schema, config)
  const { model_type: kind, hidden_size: dim, num_attention_heads: heads, num_hidden_layers: layers } = read
  const positions = ropeOf(read, { layout: 'half', scaleScores: false })
  const headDim = read.head_dim ?? (kind === 'qwen3' ? 128 : dim / heads)
  if (!Number.isInteger(headDim))
    throw new RangeError(`config.num_attention_heads: expected a divisor of hidden_size ${dim}, got ${heads}`)
  if (read.layer_types && read.layer_types.length < layers)
    throw new RangeError(
      `config.layer_types: expected one for each of ${layers} layers, got ${read.layer_types.length}`,
    )
  const isWindowed = (layer: number): boolean => {
    if (read.layer_types) return read.layer_types[layer] === 'sliding_attention'
    return kind === 'mistral' || (kind !== 'llama' && read.use_sliding_window && layer >= read.max_window_layers)
  }
  const bias = kind === 'qwen2' || (kind !== 'mistral' && read.attention_bias)
  return decoder({
    vocabulary: read.vocab_size,
    dim,
    layers,
    tied: read.tie_word_embeddings,
    normEpsilon: read.rms_norm_eps,
    key,
    attention: (layer, own) =>
      gqa({
        dim,
        heads,
        groups: read.num_key_value_heads ?? heads,
        headDim,
        positions,
        bias,
        outBias: bias && kind !== 'qwen2',
        qkNorm: kind === 'qwen3',
        normEpsilon: read.rms_norm_eps,
        ...(read.sliding_window && isWindowed(layer) && { window: read.sliding_window }),
        key: own,
      }),
    feedForward: (_, own) =>
      kind === 'llama' && read.mlp_bias
        ? new BiasedSwiGlu(dim, read.intermediate_size, own)
        : new SwiGlu(dim, read.intermediate_size, own),
  })
}

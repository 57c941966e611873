import type { Decoder } from '../decoder/decoder.ts'
import { SwiGlu } from '../decoder/feed-forward.ts'
import { BiasedSwiGlu } from '../feed-forwards/biased-swiglu.ts'
import { MixtureOfExperts } from '../feed-forwards/mixture-of-experts.ts'
import { GroupedProjection } from '../projections/grouped-projection.ts'
import { LatentProjection } from '../projections/latent-projection.ts'
import { SoftmaxAttention } from '../softmax-attention.ts'

const grouped: Readonly<Record<string, string>> = {
  'projection.q': 'q_proj',
  'projection.k': 'k_proj',
  'projection.v': 'v_proj',
  'projection.qNorm': 'q_norm',
  'projection.kNorm': 'k_norm',
  out: 'o_proj',
}

const latent: Readonly<Record<string, string>> = {
  'projection.q': 'q_proj',
  'projection.qDown': 'q_a_proj',
  'projection.qNorm': 'q_a_layernorm',
  'projection.qUp': 'q_b_proj',
  'projection.kvDown': 'kv_a_proj_with_mqa',
  'projection.kvNorm': 'kv_a_layernorm',
  'projection.kvUp': 'kv_b_proj',
  out: 'o_proj',
}

const swiGlu: Readonly<Record<string, string>> = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' }

/**
 * The names that Hugging Face's checkpoints have for the tensors of a decoder.
 * @returns their name for each of `model.state()`
 * @throws TypeError naming a part that no such checkpoint has
 */
export function checkpointNames(model: Decoder): Map<string, string> {
  const names = new Map<string, string>()
  for (const own of Object.keys(model.state())) {
    const theirs = nameOf(model, own)
    if (theirs === undefined) throw new TypeError(`model: such checkpoints have no name for "${own}"`)
    names.set(own, theirs)
  }
  return names
}

function nameOf(model: Decoder, own: string): string | undefined {
  const outer: Readonly<Record<string, string>> = {
    'embedding.weight': 'model.embed_tokens.weight',
    'norm.weight': 'model.norm.weight',
    'head.weight': 'lm_head.weight',
  }
  const [, layer, part, inner = ''] = /^blocks\.(\d+)\.(\w+)\.(.*)$/.exec(own) ?? []
  if (layer === undefined) return outer[own]
  const { attention, feedForward } = model.blocks[Number(layer)]!
  const inside: Readonly<Record<string, () => string | undefined>> = {
    attentionNorm: () => `input_layernorm.${inner}`,
    feedForwardNorm: () => `post_attention_layernorm.${inner}`,
    attention: () => under('self_attn', renamed(attentionTable(attention), inner)),
    feedForward: () => under('mlp', feedForwardName(feedForward, inner)),
  }
  return under(`model.layers.${layer}`, inside[part!]?.())
}

function attentionTable(attention: unknown): Readonly<Record<string, string>> {
  if (!(attention instanceof SoftmaxAttention)) return {}
  const { projection } = attention as SoftmaxAttention
  if (projection instanceof GroupedProjection) return grouped
  return projection instanceof LatentProjection && projection.groups === 1 ? latent : {}
}

function feedForwardName(feedForward: unknown, inner: string): string | undefined {
  if (feedForward instanceof SwiGlu || feedForward instanceof BiasedSwiGlu) return renamed(swiGlu, inner)
  if (!(feedForward instanceof MixtureOfExperts)) return undefined
  if (inner === 'router.weight') return 'gate.weight'
  if (inner === 'bias') return 'gate.e_score_correction_bias'
  const [, part, rest = ''] = /^(shared|experts\.\d+)\.(.*)$/.exec(inner) ?? []
  return part && under(part === 'shared' ? 'shared_experts' : part, renamed(swiGlu, rest))
}

/** `a.b.weight` with the table's name for `a.b`. */
function renamed(table: Readonly<Record<string, string>>, name: string): string | undefined {
  const end = name.lastIndexOf('.')
  const part = table[name.slice(0, end)]
  return part && `${part}${name.slice(end)}`
}

function under(folder: string, name: string | undefined): string | undefined {
  return name && `${folder}.${name}`
}

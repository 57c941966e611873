import { latentStreams, type Streams } from '@x/attention'

/** What a published configuration says of a model's attention. */
export interface ModelShape {
  readonly title: string
  readonly layers: number
  /** heads of queries */
  readonly heads: number
  /** heads of keys and values; as many as `heads` for MHA */
  readonly groups: number
  readonly headDim: number
  /** width of values, where it is another */
  readonly valueDim?: number
  /** latent and shared key, of models with MLA */
  readonly latent?: { readonly rank: number; readonly ropeDim: number }
}

/** Shapes from the models' published configuration files. */
export const models: Readonly<Record<string, ModelShape>> = {
  'deepseek-v2-lite': { title: 'DeepSeek-V2-Lite', layers: 27, heads: 16, groups: 16, headDim: 192, valueDim: 128, latent: { rank: 512, ropeDim: 64 } },
  'deepseek-v2': { title: 'DeepSeek-V2', layers: 60, heads: 128, groups: 128, headDim: 192, valueDim: 128, latent: { rank: 512, ropeDim: 64 } },
  'deepseek-v3': { title: 'DeepSeek-V3', layers: 61, heads: 128, groups: 128, headDim: 192, valueDim: 128, latent: { rank: 512, ropeDim: 64 } },
  'deepseek-67b': { title: 'DeepSeek 67B', layers: 95, heads: 64, groups: 8, headDim: 128 },
  'llama-2-7b': { title: 'Llama 2 7B', layers: 32, heads: 32, groups: 32, headDim: 128 },
  'llama-3-8b': { title: 'Llama 3 8B', layers: 32, heads: 32, groups: 8, headDim: 128 },
  'llama-3-70b': { title: 'Llama 3 70B', layers: 80, heads: 64, groups: 8, headDim: 128 },
  'mistral-7b': { title: 'Mistral 7B', layers: 32, heads: 32, groups: 8, headDim: 128 },
  'qwen2.5-7b': { title: 'Qwen2.5 7B', layers: 28, heads: 28, groups: 4, headDim: 128 },
  'falcon-7b': { title: 'Falcon 7B', layers: 32, heads: 71, groups: 1, headDim: 64 },
} // prettier-ignore

/** Width of keys and values where a model with MLA is asked for its shape with other attention: as published comparisons take it. */
const plainHeadDim = 128

/** What a token leaves in a layer, by the attention that the model has, or might have with as many heads. */
export const variants: Readonly<Record<string, { readonly title: string; streams(model: ModelShape): Streams }>> = {
  own: {
    title: 'its own',
    streams: ({ groups, headDim, valueDim = headDim, latent }) =>
      latent ? latentStreams(latent.rank, latent.ropeDim) : { k: [groups, headDim], v: [groups, valueDim] },
  },
  mha: { title: 'MHA', streams: (model) => plain(model, model.heads) },
  'gqa-8': { title: 'GQA, 8 groups', streams: (model) => plain(model, 8) },
  mqa: { title: 'MQA', streams: (model) => plain(model, 1) },
  mla: { title: 'MLA, 512 + 64', streams: () => latentStreams(512, 64) },
}

function plain({ headDim, latent }: ModelShape, groups: number): Streams {
  const width = latent ? plainHeadDim : headDim
  return { k: [groups, width], v: [groups, width] }
}

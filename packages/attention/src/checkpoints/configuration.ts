import { describeValue, integer, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { linearScaling } from '../positions/linear/linear.ts'
import { llama3Scaling } from '../positions/llama3/llama3.ts'
import type { PositionEncoding } from '../positions/position.ts'
import { type FrequencyScaling, rope } from '../positions/rope/rope.ts'
import { yarn, yarnMagnitude } from '../positions/yarn/yarn.ts'

/** What a `config.json` of Hugging Face holds. */
export type HuggingFaceConfig = Readonly<Record<string, unknown>>

const number = v.pipe(v.number(), v.finite('a finite number'))
const rotation = v.nullish(
  v.object({
    rope_type: v.nullish(v.string()),
    type: v.nullish(v.string()),
    rope_theta: v.nullish(number),
    partial_rotary_factor: v.nullish(number),
    factor: v.nullish(number),
    original_max_position_embeddings: v.nullish(integer(1)),
    low_freq_factor: v.nullish(number),
    high_freq_factor: v.nullish(number),
    attention_factor: v.nullish(number),
    beta_fast: v.nullish(number),
    beta_slow: v.nullish(number),
    mscale: v.nullish(number),
    mscale_all_dim: v.nullish(number),
    truncate: v.nullish(v.boolean()),
  }),
)

/** What all models have. */
export const commonConfig = {
  vocab_size: integer(1),
  hidden_size: integer(1),
  intermediate_size: integer(1),
  num_hidden_layers: integer(1),
  num_attention_heads: integer(1),
  hidden_act: v.nullish(v.literal('silu'), 'silu'),
  rms_norm_eps: v.nullish(numberFrom(0), 1e-6),
  tie_word_embeddings: v.nullish(v.boolean(), false),
  max_position_embeddings: v.nullish(integer(1)),
  rope_theta: v.nullish(number),
  partial_rotary_factor: v.nullish(number),
  rope_scaling: rotation,
  rope_parameters: rotation,
}

type RotationConfig = Pick<
  v.InferOutput<v.ObjectSchema<typeof commonConfig, undefined>>,
  'max_position_embeddings' | 'rope_theta' | 'partial_rotary_factor' | 'rope_scaling' | 'rope_parameters'
>

/**
 * Reads a configuration; what the schema does not speak of is left out.
 * @throws TypeError or RangeError naming what is wrong
 */
export function readConfig<Schema extends v.GenericSchema>(
  schema: Schema,
  config: HuggingFaceConfig,
): v.InferOutput<Schema> {
  const read = v.safeParse(schema, config, { abortEarly: true })
  if (read.success) return read.output
  const [issue] = read.issues
  const name = ['config', ...(issue.path ?? []).map(({ key }) => String(key))].join('.')
  const expected =
    issue.path && issue.type === 'object' && issue.input === undefined ? 'a value' : (issue.expected ?? issue.message)
  const message = `${name}: expected ${expected}, got ${describeValue(issue.input)}`
  throw issue.kind === 'schema' ? new TypeError(message) : new RangeError(message)
}

/**
 * The positions that a configuration speaks of, in its older form (`rope_theta`, `rope_scaling`) or its newer one
 * (`rope_parameters`).
 * @param scaleScores whether YaRN's `mscale_all_dim` scales all scores, as in DeepSeek's models
 * @throws RangeError when a kind of scaling is not known here
 */
export function ropeOf(
  config: RotationConfig,
  options: { readonly layout: 'half' | 'interleaved'; readonly scaleScores: boolean },
): PositionEncoding {
  const given = config.rope_parameters ?? config.rope_scaling ?? {}
  const share = given.partial_rotary_factor ?? config.partial_rotary_factor ?? 1
  if (share !== 1) throw new RangeError(`config.partial_rotary_factor: expected 1, got ${share}`)
  const theta = given.rope_theta ?? config.rope_theta ?? 10_000
  const scaling = scalingOf(given, config, options.scaleScores)
  return rope({ theta, layout: options.layout, ...(scaling && { scaling }) })
}

function scalingOf(
  given: NonNullable<RotationConfig['rope_scaling']>,
  config: RotationConfig,
  scaleScores: boolean,
): FrequencyScaling | undefined {
  const kind = given.rope_type ?? given.type ?? 'default'
  if (kind === 'default') return undefined
  const originalLength = given.original_max_position_embeddings ?? config.max_position_embeddings
  const longer =
    config.max_position_embeddings && originalLength ? config.max_position_embeddings / originalLength : undefined
  const factor = given.factor ?? (kind === 'yarn' ? longer : undefined)
  const need = <T>(name: string, value: T | null | undefined): T => {
    if (value === null || value === undefined)
      throw new TypeError(`config.rope_scaling.${name}: expected a number for ${kind}, got ${describeValue(value)}`)
    return value
  }
  if (kind === 'linear') return linearScaling(need('factor', factor))
  if (kind === 'llama3')
    return llama3Scaling({
      factor: need('factor', factor),
      lowFrequencyFactor: need('low_freq_factor', given.low_freq_factor),
      highFrequencyFactor: need('high_freq_factor', given.high_freq_factor),
      originalLength: need('original_max_position_embeddings', originalLength),
    })
  if (kind !== 'yarn')
    throw new RangeError(`config.rope_scaling.rope_type: expected default, linear, llama3 or yarn, got "${kind}"`)
  const times = need('factor', factor)
  const { frequencies } = yarn({
    factor: times,
    originalLength: need('original_max_position_embeddings', originalLength),
    betaFast: given.beta_fast || 32,
    betaSlow: given.beta_slow || 1,
    truncate: given.truncate ?? true,
  })
  const { mscale, mscale_all_dim: overall } = given
  const inferred =
    mscale && overall ? yarnMagnitude(times, mscale) / yarnMagnitude(times, overall) : yarnMagnitude(times)
  return {
    frequencies,
    magnitude: given.attention_factor ?? inferred,
    ...(scaleScores && overall && { scoreScale: yarnMagnitude(times, overall) ** 2 }),
  }
}

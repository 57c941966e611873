import { describeValue, integer, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { linearScaling } from '../positions/linear/linear.ts'
import { llama3Scaling } from '../positions/llama3/llama3.ts'
import type { PositionEncoding } from '../positions/position.ts'
import { type FrequencyScaling, rope } from '../positions/rope/rope.ts'
import { yarn, yarnMagnitude } from '../positions/yarn/yarn.ts'

/** What a `config.json` of Hugging Face holds. */
export type HuggingFaceConfig = Readonly<Record<string, unknown>>

type Given<T> = T | null | undefined

/** How a configuration speaks of positions. */
interface Rotation {
  readonly rope_type: Given<string>
  /** as `rope_type`, in older configurations */
  readonly type: Given<string>
  readonly rope_theta: Given<number>
  readonly partial_rotary_factor: Given<number>
  readonly factor: Given<number>
  readonly original_max_position_embeddings: Given<number>
  readonly low_freq_factor: Given<number>
  readonly high_freq_factor: Given<number>
  readonly attention_factor: Given<number>
  readonly beta_fast: Given<number>
  readonly beta_slow: Given<number>
  readonly mscale: Given<number>
  readonly mscale_all_dim: Given<number>
  readonly truncate: Given<boolean>
}

interface RotationConfig {
  readonly max_position_embeddings: Given<number>
  readonly rope_theta: Given<number>
  readonly partial_rotary_factor: Given<number>
  readonly rope_scaling: Given<Rotation>
  readonly rope_parameters: Given<Rotation>
}

const number = v.nullish(v.pipe(v.number(), v.finite('a finite number')))
const count = v.nullish(integer(1))
const name = v.nullish(v.string())
const rotation = v.nullish(
  v.object({
    rope_type: name,
    type: name,
    rope_theta: number,
    partial_rotary_factor: number,
    factor: number,
    original_max_position_embeddings: count,
    low_freq_factor: number,
    high_freq_factor: number,
    attention_factor: number,
    beta_fast: number,
    beta_slow: number,
    mscale: number,
    mscale_all_dim: number,
    truncate: v.nullish(v.boolean()),
  }),
)

/** What all models have. */
export const commonConfig: {
  vocab_size: v.GenericSchema<number>
  hidden_size: v.GenericSchema<number>
  intermediate_size: v.GenericSchema<number>
  num_hidden_layers: v.GenericSchema<number>
  num_attention_heads: v.GenericSchema<number>
  hidden_act: v.GenericSchema<Given<string>, string>
  rms_norm_eps: v.GenericSchema<Given<number>, number>
  tie_word_embeddings: v.GenericSchema<Given<boolean>, boolean>
  max_position_embeddings: v.GenericSchema<Given<number>>
  rope_theta: v.GenericSchema<Given<number>>
  partial_rotary_factor: v.GenericSchema<Given<number>>
  rope_scaling: v.GenericSchema<unknown, Given<Rotation>>
  rope_parameters: v.GenericSchema<unknown, Given<Rotation>>
} = {
  vocab_size: integer(1),
  hidden_size: integer(1),
  intermediate_size: integer(1),
  num_hidden_layers: integer(1),
  num_attention_heads: integer(1),
  hidden_act: v.nullish(v.literal('silu'), 'silu') as v.GenericSchema<Given<string>, string>,
  rms_norm_eps: v.nullish(numberFrom(0), 1e-6),
  tie_word_embeddings: v.nullish(v.boolean(), false),
  max_position_embeddings: count,
  rope_theta: number,
  partial_rotary_factor: number,
  rope_scaling: rotation as v.GenericSchema<unknown, Given<Rotation>>,
  rope_parameters: rotation as v.GenericSchema<unknown, Given<Rotation>>,
}

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
  const path = ['config', ...(issue.path ?? []).map(({ key }) => String(key))].join('.')
  const expected =
    issue.path && issue.type === 'object' && issue.input === undefined ? 'a value' : (issue.expected ?? issue.message)
  const message = `${path}: expected ${expected}, got ${describeValue(issue.input)}`
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
  const given: Partial<Rotation> = config.rope_parameters ?? config.rope_scaling ?? {}
  const share = given.partial_rotary_factor ?? config.partial_rotary_factor ?? 1
  if (share !== 1) throw new RangeError(`config.partial_rotary_factor: expected 1, got ${share}`)
  const theta = given.rope_theta ?? config.rope_theta ?? 10_000
  const scaling = scalingOf(given, config, options.scaleScores)
  return rope({ theta, layout: options.layout, ...(scaling && { scaling }) })
}

function scalingOf(
  given: Partial<Rotation>,
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

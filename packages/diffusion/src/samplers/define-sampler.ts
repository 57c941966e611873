import { checkOptions, type MethodDescription, type OptionsSchema } from '@x/core-gpu'
import type * as v from 'valibot'
import type { Sampler } from '../sampler.ts'

/** A described sampler; called with its options, it makes one. */
export interface SamplerMethod<Options> extends MethodDescription {
  (options?: Options): Sampler
  readonly options: v.ObjectSchema<v.ObjectEntries, undefined>
}

/**
 * Defines a sampler: its description, the options it takes, all of which have defaults, and how one is made.
 * @throws TypeError or RangeError (on call) naming the option, what came and what was expected
 */
export function defineSampler<Options extends object, Checked>(
  definition: MethodDescription & {
    readonly options: OptionsSchema<Options, Checked>
    readonly create: (options: Checked) => Sampler
  },
): SamplerMethod<Options> {
  const { create, ...description } = definition
  const make = (options?: Options): Sampler => create(checkOptions(description.options, options ?? ({} as Options)))
  return Object.assign(make, description)
}

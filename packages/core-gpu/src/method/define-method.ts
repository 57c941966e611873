import * as v from 'valibot'
import { describeValue } from '../validation/validation.ts'

/** Where a method was published. */
export interface Paper {
  readonly title: string
  /** arXiv id, such as `2411.02038` */
  readonly arxiv: string
  readonly year: number
}

/** What a method says of itself. */
export interface MethodDescription {
  /** `family/name`, such as `vq/simvq` */
  readonly id: string
  readonly title: string
  /** one sentence */
  readonly summary: string
  readonly paper: Paper
}

/** The schema of a method's options: it states types, defaults and ranges, and checks them. */
export type OptionsSchema<Input, Output> = v.ObjectSchema<v.ObjectEntries, undefined> & v.GenericSchema<Input, Output>

/** A described method; called with its options, it makes one. */
export interface Method<Options, Made> extends MethodDescription {
  (options: Options): Made
  readonly options: v.ObjectSchema<v.ObjectEntries, undefined>
}

/**
 * Defines a method: its description, the options it takes and how one is made.
 *
 * The result is called like a function; options are checked first, and unknown ones are refused.
 * @throws TypeError or RangeError (on call) naming the option, what came and what was expected
 */
export function defineMethod<Options, Checked, Made>(
  definition: MethodDescription & {
    readonly options: OptionsSchema<Options, Checked>
    readonly create: (options: Checked) => Made
  },
): Method<Options, Made> {
  const { create, ...description } = definition
  const make = (options: Options): Made => create(checkOptions(description.options, options))
  return Object.assign(make, description)
}

/** Reads options by a schema: defaults filled in, the first fault thrown. */
export function checkOptions<Input, Checked>(schema: OptionsSchema<Input, Checked>, options: Input): Checked {
  const read = v.safeParse(schema, options, { abortEarly: true })
  if (!read.success) throw faultOf(read.issues[0], schema)
  const unknown = Object.keys(options as object).find((name) => !(name in schema.entries))
  if (unknown !== undefined)
    throw new TypeError(`${unknown}: no such option; known are ${Object.keys(schema.entries).join(', ')}`)
  return read.output as Checked
}

function faultOf(issue: v.BaseIssue<unknown>, schema: v.ObjectSchema<v.ObjectEntries, undefined>): Error {
  const path = issue.path?.map((step) => String(step.key)) ?? []
  const name = path.join('.') || 'options'
  if (issue.expected === 'never') return new TypeError(`${name}: no such option`)
  // Of an option that is missing the schema says only that its name is; what belongs there is more help.
  const missing = path.length === 1 && issue.type === 'object' ? schema.entries[path[0]!]?.expects : undefined
  const message = `${name}: expected ${missing ?? issue.expected ?? issue.message}, got ${describeValue(issue.input)}`
  return issue.kind === 'schema' ? new TypeError(message) : new RangeError(message)
}

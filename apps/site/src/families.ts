import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import * as vq from '@x/vq'

/** A described method as the pages show it. */
export interface Method {
  /** `family/name`, such as `vq/simvq` */
  readonly id: string
  readonly family: string
  readonly name: string
  readonly title: string
  readonly summary: string
  readonly paper: { readonly title: string; readonly arxiv: string; readonly year: number }
  /** the package it comes from and the name under which it is exported there */
  readonly package: string
  readonly exportName: string
  /** its options, as its schema lists them */
  readonly options: readonly Option[]
  /** the page's text */
  readonly file: string
  /** its place in its family */
  readonly order: number
}

interface Option {
  readonly name: string
  readonly required: boolean
  /** its default as code; null where that isn't a plain value */
  readonly fallback: string | null
}

export interface Family {
  readonly id: string
  readonly title: string
  readonly package: string
  readonly methods: readonly Method[]
}

/** What a package says of a method in its list. */
type Listed = Pick<Method, 'id' | 'title' | 'summary' | 'paper'>

const require = createRequire(import.meta.url)

/** The families in the order of the sidebar: a new package is one more line. */
export const families: readonly Family[] = [family('vq', 'Vector quantization', '@x/vq', vq, vq.methods)]

export const methods: readonly Method[] = families.flatMap((family) => family.methods)

function family(id: string, title: string, name: string, exported: object, listed: readonly Listed[]): Family {
  const folder = join(dirname(require.resolve(`${name}/package.json`)), 'src', 'methods')
  const described = listed.map((method, order): Method => {
    const short = method.id.slice(id.length + 1)
    const entry = Object.entries(exported).find(([, value]) => value === method)
    if (entry === undefined) throw new RangeError(`${method.id}: ${name} lists it but does not export it`)
    const { entries } = (entry[1] as { readonly options: { readonly entries: Readonly<Record<string, Schema>> } })
      .options
    return {
      id: method.id,
      family: id,
      name: short,
      title: method.title,
      summary: method.summary,
      paper: { ...method.paper },
      package: name,
      exportName: entry[0],
      options: Object.entries(entries).map(([option, schema]) => optionOf(option, schema)),
      file: join(folder, short, `${short}.md`),
      order,
    }
  })
  return { id, title, package: name, methods: described }
}

/** The part of an option's schema that says what happens when the option is left out. */
interface Schema {
  readonly type: string
  readonly default?: unknown
}

function optionOf(name: string, schema: Schema): Option {
  const plain = ['string', 'number', 'boolean'].includes(typeof schema.default)
  return { name, required: schema.type !== 'optional', fallback: plain ? String(JSON.stringify(schema.default)) : null }
}

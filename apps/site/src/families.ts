import { globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { parseFrontmatter } from '@astrojs/markdown-remark'
import * as attention from '@x/attention'
import * as diffusion from '@x/diffusion'
import * as vq from '@x/vq'

/** A described method as the pages show it. */
export interface Method {
  /** `family/name`, such as `vq/simvq` */
  readonly id: string
  readonly family: string
  /** the folder of its package that holds it, such as `samplers` */
  readonly kind: string
  /** the kind's title, which tells it from those of other families */
  readonly kindTitle: string
  readonly name: string
  readonly title: string
  readonly summary: string
  /** null where it was published elsewhere, as its text says, or nowhere */
  readonly paper: Paper | null
  readonly package: string
  /** the name under which the package exports it; null where the page's own code says how it is used */
  readonly exportName: string | null
  /** its options, as its schema lists them */
  readonly options: readonly Option[]
  /** code that uses it, in pages that bring their own; what it imports besides */
  readonly use: { readonly imports: readonly string[]; readonly code: string } | null
  /** the page's text, and the file that holds it */
  readonly text: string
  readonly file: string
  /** its place among all methods */
  readonly order: number
}

interface Paper {
  readonly title: string
  readonly arxiv: string
  readonly year: number
}

interface Option {
  readonly name: string
  readonly required: boolean
  /** its default as code; null where that isn't a plain value */
  readonly fallback: string | null
}

/** Methods that do the same kind of thing. */
interface Kind {
  readonly id: string
  readonly title: string
  readonly methods: readonly Method[]
}

export interface Family {
  readonly id: string
  readonly title: string
  readonly package: string
  readonly kinds: readonly Kind[]
}

/** What a package says of a method in its list. */
type Listed = Pick<Method, 'id' | 'title' | 'summary'> & { readonly paper: Paper }

const require = createRequire(import.meta.url)

/** The families in the order of the sidebar: a new package is one more line, which names its folders of methods. */
export const families: readonly Family[] = numbered([
  family('vq', 'Vector quantization', vq, vq.methods, { methods: 'Quantizers' }),
  family('attention', 'Attention', attention, attention.methods, {
    projections: 'Attentions',
    sparse: 'Sparse attentions',
    positions: 'Positions',
    caches: 'Caches',
    storages: 'Storages',
  }),
  family('diffusion', 'Diffusion', diffusion, diffusion.samplers, {
    samplers: 'Samplers',
    schedules: 'Schedules',
    guidance: 'Guidance',
  }),
])

export const methods: readonly Method[] = families.flatMap(({ kinds }) => kinds.flatMap((kind) => kind.methods))

/** Gives every method its place among all. */
function numbered(families: readonly Family[]): Family[] {
  let order = 0
  return families.map((family) => ({
    ...family,
    kinds: family.kinds.map((kind) => ({
      ...kind,
      methods: kind.methods.map((method) => ({ ...method, order: order++ })),
    })),
  }))
}

/**
 * The methods of a package: every `src/<kind>/<name>/<name>.md` is a page. What a package lists describes itself, in the
 * package's order; what it does not, in the head of its page.
 */
function family(
  id: string,
  title: string,
  exported: object,
  listed: readonly Listed[],
  kinds: Readonly<Record<string, string>>,
): Family {
  const name = `@x/${id}`
  const source = join(dirname(require.resolve(`${name}/package.json`)), 'src')
  const pages = globSync('*/*/*.md', { cwd: source }).filter(
    (page) => basename(page, '.md') === basename(dirname(page)),
  )
  const unknown = pages.find((page) => !Object.hasOwn(kinds, page.split('/')[0]!))
  if (unknown !== undefined) throw new RangeError(`${name}: ${unknown} is in none of ${Object.keys(kinds).join(', ')}`)
  const missing = listed.find((method) => !pages.some((page) => `${id}/${basename(page, '.md')}` === method.id))
  if (missing !== undefined) throw new RangeError(`${missing.id}: ${name} lists it, but it has no page`)
  const described = pages
    .map((page) => describe(id, join(source, page), exported, listed, kinds))
    .sort((a, b) => a.order - b.order || (a.title < b.title ? -1 : 1))
  return {
    id,
    title,
    package: name,
    kinds: Object.entries(kinds).map(([kind, title]) => ({
      id: kind,
      title,
      methods: described.filter((method) => method.kind === kind),
    })),
  }
}

function describe(
  family: string,
  file: string,
  exported: object,
  listed: readonly Listed[],
  kinds: Readonly<Record<string, string>>,
): Method {
  const name = basename(file, '.md')
  const kind = basename(dirname(dirname(file)))
  const common = { id: `${family}/${name}`, family, kind, kindTitle: kinds[kind]!, name, package: `@x/${family}`, file }
  const { frontmatter, content: text } = parseFrontmatter(readFileSync(file, 'utf8'))
  const order = listed.findIndex(({ id }) => id === common.id)
  if (order < 0) {
    const { title, summary, paper = null, imports, use } = frontmatter as Partial<Record<string, never>>
    if (!title || !summary || !imports || !use)
      throw new RangeError(`${file}: expected title, summary, imports and use in its head, since no list describes it`)
    return { ...common, title, summary, paper, exportName: null, options: [], use: { imports, code: use }, text, order: listed.length } // prettier-ignore
  }
  const { title, summary, paper } = listed[order]!
  const entry = Object.entries(exported).find(([, value]) => value === listed[order])
  if (entry === undefined) throw new RangeError(`${common.id}: its package lists it but does not export it`)
  const { entries } = (entry[1] as { readonly options: { readonly entries: Readonly<Record<string, Schema>> } }).options
  const options = Object.entries(entries).map(([option, schema]) => optionOf(option, schema))
  return { ...common, title, summary, paper: { ...paper }, exportName: entry[0], options, use: null, text, order }
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

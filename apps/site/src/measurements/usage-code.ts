import type { Method } from '../families.ts'

/** What the pages' code gives for options that have no default, by their names. */
const sampleArguments: Readonly<Record<string, unknown>> = {
  bits: 10,
  codebookSize: 1024,
  dim: 64,
  groups: 2,
  heads: 4,
  layers: 4,
  levels: [8, 5, 5, 5],
  scales: [1, 2, 4, 8],
}

/** The arguments of a method's shortest call. */
export function argumentsOf(method: Pick<Method, 'id' | 'options'>): Readonly<Record<string, unknown>> {
  const needed = method.options.filter((option) => option.required).map(({ name }) => name)
  return Object.fromEntries(
    needed.map((name) => {
      if (!(name in sampleArguments)) throw new RangeError(`${method.id}: no sample value for the option "${name}"`)
      return [name, sampleArguments[name]]
    }),
  )
}

/** How a method is made and used, as a reader would type it. */
export function usageCode(method: Method): string {
  const made = Object.entries(argumentsOf(method)).map(([name, value]) => `${name}: ${show(value)}`)
  return `import { ${method.exportName} } from '${method.package}'

const quantizer = ${method.exportName}({ ${made.join(', ')} })
// z [..., d] from the encoder; quantized, of the same shape, for the decoder
const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
`
}

/** The options that may be left out, with what they then are. */
export function defaultsOf(method: Method): { readonly name: string; readonly fallback: string | null }[] {
  return method.options.filter((option) => !option.required).map(({ name, fallback }) => ({ name, fallback }))
}

function show(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : JSON.stringify(value)
}

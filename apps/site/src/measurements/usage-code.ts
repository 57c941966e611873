import type { Method } from '../families.ts'

/** What the pages' code gives for options that have no default, by their names. */
const sampleArguments: Readonly<Record<string, unknown>> = {
  bits: 10,
  codebookSize: 1024,
  dim: 64,
  groups: 2,
  heads: 4,
  kvRank: 32,
  layers: 4,
  levels: [7, 5, 5, 5, 5],
  nopeDim: 16,
  queryRank: 32,
  ropeDim: 8,
  scales: [1, 2, 4, 8],
}

/**
 * The arguments of a method's shortest call.
 * @param given options that are left to the caller
 * @throws RangeError for an option without a default and a sample value
 */
export function argumentsOf(
  method: Pick<Method, 'id' | 'options'>,
  given: readonly string[] = [],
): Readonly<Record<string, unknown>> {
  const needed = method.options
    .filter(({ name, required }) => required && !given.includes(name))
    .map(({ name }) => name)
  return Object.fromEntries(
    needed.map((name) => {
      if (!(name in sampleArguments)) throw new RangeError(`${method.id}: no sample value for the option "${name}"`)
      return [name, sampleArguments[name]]
    }),
  )
}

/** How a method is made and used, as a reader would type it. */
export function usageCode(method: Method): string {
  const { imports, code } = method.use ?? ownUse(method)
  return `import { ${imports.toSorted().join(', ')} } from '${method.package}'\n\n${code.trimEnd()}\n`
}

function ownUse(method: Method): { readonly imports: readonly string[]; readonly code: string } {
  const use = uses[method.id] ?? usual[method.kind]
  if (use === undefined) throw new RangeError(`${method.id}: no code that uses ${method.kind}`)
  const { name, code, given = [] } = use
  const made = Object.entries(argumentsOf(method, given)).map(([option, value]) => `${option}: ${show(value)}`)
  const options = [...made, ...given].join(', ')
  const call = `${method.exportName}(${options === '' ? '' : `{ ${options} }`})`
  return {
    imports: [method.exportName!, ...(code.includes('key(') ? ['key'] : [])],
    code: `const ${name} = ${call}\n${code}`,
  }
}

interface Use {
  /** what the method's product is called */
  readonly name: string
  readonly code: string
  /** options that are variables of the same name, which the page's code does not make */
  readonly given?: readonly string[]
}

const attention: Use = {
  name: 'attention',
  code: `// x float32 [B, L, dim] gives the same shape; a cache remembers earlier tokens
const y = attention.forward(x)
const cache = attention.createCache({ batch: 1, capacity: 1024 })
const next = attention.forward(token, { cache })`,
}

/** How what most methods of a kind make is used. */
const usual: Readonly<Record<string, Use>> = {
  methods: {
    name: 'quantizer',
    code: `// z [..., d] from the encoder; quantized, of the same shape, for the decoder
const { quantized, indices, loss } = quantizer.quantize(z, { training: true })`,
  },
  projections: attention,
  sparse: attention,
  samplers: {
    name: 'sampler',
    code: `// x [B, ...] at the first level of the grid; samples at the last
const samples = await sampler(denoiser, x, grid, { key: key(0) })`,
  },
}

/** How the others are used. */
const uses: Readonly<Record<string, Use>> = {
  'attention/cross': {
    name: 'attention',
    code: `// x float32 [B, L, dim] reads from context [B, S, dim], or from what is remembered of it
const y = attention.forward(x, context)
const remembered = attention.remember(context)
const next = attention.forward(token, remembered)`,
  },
  'diffusion/ddim-inversion': {
    name: 'sampler',
    code: `// the grid the other way: from a sample to the noise that leads to it
const noise = await sampler(denoiser, x, grid.toReversed())`,
  },
  'diffusion/repaint': {
    name: 'sampler',
    code: `// where mask is 1, the samples are known
const samples = await sampler(denoiser, x, grid, { key: key(0) })`,
    given: ['known', 'mask'],
  },
  'vq/binary-mapper': {
    name: 'quantizer',
    code: `// logits [..., bits] from the encoder; oneHot [..., 2^bits] for the decoder
const { oneHot, indices, loss } = quantizer.map(logits, { training: true, key: key(0) })`,
  },
  'vq/multi-scale-vq': {
    name: 'quantizer',
    code: `// z [..., height, width, d] from the encoder; quantized, of the same shape, for the decoder
const { quantized, indices, loss } = quantizer.quantize(z, { training: true })`,
  },
  'vq/random-projection': {
    name: 'quantizer',
    code: `// z [..., d], what is to be masked; labels int32 [...], what the model shall predict
const labels = quantizer.label(z)`,
  },
}

/** The options that may be left out, with what they then are. */
export function defaultsOf(method: Method): { readonly name: string; readonly fallback: string | null }[] {
  return method.options.filter((option) => !option.required).map(({ name, fallback }) => ({ name, fallback }))
}

function show(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : JSON.stringify(value)
}

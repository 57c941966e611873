// Compiles assembly/ to two WebAssembly modules, with and without relaxed SIMD, and writes them as base64 strings:
// a form that Node, bundlers and workers all load without a path.
import { readFileSync, writeFileSync } from 'node:fs'
import asc from 'assemblyscript/asc'

const source = new URL('../assembly/', import.meta.url)
const target = new URL('../src/kernels/pack.gen.ts', import.meta.url)

const fused = 'f32x4.relaxed_madd(a, b, c)'
const unfused = 'f32x4.add(f32x4.mul(a, b), c)'

// No memory of its own: the module works inside tfjs's heap, and must hold nothing at fixed addresses there.
const flags = [
  '-O3',
  '--noAssert',
  '--runtime',
  'stub',
  '--enable',
  'simd',
  '--enable',
  'threads',
  '--importMemory',
  '--sharedMemory',
  '--initialMemory',
  '1',
  '--maximumMemory',
  '65536',
  '--use',
  'abort=',
]

async function compile(relaxed) {
  let binary
  const { error, stderr } = await asc.main(
    ['pack.ts', '-o', 'pack.wasm', ...flags, ...(relaxed ? ['--enable', 'relaxed-simd'] : [])],
    {
      readFile(name) {
        try {
          const text = readFileSync(new URL(name, source), 'utf8')
          return relaxed ? text : text.replace(fused, unfused)
        } catch {
          return null
        }
      },
      writeFile(name, data) {
        if (name === 'pack.wasm') binary = data
      },
      listFiles: () => [],
    },
  )
  if (error) throw new Error(`asc: ${error.message}\n${stderr.toString()}`)
  const module = new WebAssembly.Module(binary)
  const imports = WebAssembly.Module.imports(module).map(({ name }) => name)
  if (imports.join() !== 'memory') throw new Error(`the pack must import its memory only, but imports ${imports}`)
  const sections = readSections(binary)
  const data = sections.get(11)
  if (data !== undefined && data.length > 0) throw new Error('the pack must have no data at fixed addresses')
  return { binary: Buffer.from(binary).toString('base64'), flag: memoryFlag(binary, sections.get(2)) }
}

/** Where each section of a binary lies, by its id. */
function readSections(binary) {
  const sections = new Map()
  for (let at = 8; at < binary.length;) {
    const id = binary[at++]
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++]
      length += (byte & 127) << shift
      if (byte < 128) break
    }
    sections.set(id, { at, length })
    at += length
  }
  return sections
}

/** The place of the flag that says whether the imported memory is shared, which must be the only import. */
function memoryFlag(binary, { at }) {
  const names = at + 1 // after the count
  const kind = names + 1 + binary[names] + 1 + binary[names + 1 + binary[names]]
  const flag = kind + 1
  if (binary[at] !== 1 || binary[kind] !== 2 || binary[flag] !== 3) throw new Error('no import of a shared memory')
  return flag
}

if (!readFileSync(new URL('simd.ts', source), 'utf8').includes(fused)) throw new Error('simd.ts has no relaxed_madd')

const relaxed = await compile(true)
const plain = await compile(false)
writeFileSync(
  target,
  `// Written by scripts/assemble.mjs from assembly/.

/** A compiled kernel pack: base64, and the place of the byte that says whether its memory is shared. */
export interface Binary {
  readonly base64: string
  readonly memoryFlag: number
}

/** The kernel pack with relaxed SIMD. */
export const relaxedPack: Binary = {
  memoryFlag: ${relaxed.flag},
  base64: '${relaxed.binary}',
}

/** The kernel pack with plain SIMD. */
export const simdPack: Binary = {
  memoryFlag: ${plain.flag},
  base64: '${plain.binary}',
}
`,
)

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
  '--importMemory',
  '--initialMemory',
  '1',
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
  if (hasDataSection(binary)) throw new Error('the pack must have no data at fixed addresses')
  return Buffer.from(binary).toString('base64')
}

/** Walks the sections of a binary: an id, and a length as LEB128. */
function hasDataSection(binary) {
  const data = 11
  let at = 8
  while (at < binary.length) {
    const id = binary[at++]
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++]
      length += (byte & 127) << shift
      if (byte < 128) break
    }
    if (id === data && length > 0) return true
    at += length
  }
  return false
}

if (!readFileSync(new URL('simd.ts', source), 'utf8').includes(fused)) throw new Error('simd.ts has no relaxed_madd')

writeFileSync(
  target,
  `// Written by scripts/assemble.mjs from assembly/.

/** The kernel pack with relaxed SIMD, base64. */
export const relaxedPack: string =
  '${await compile(true)}'

/** The kernel pack with plain SIMD, base64. */
export const simdPack: string =
  '${await compile(false)}'
`,
)

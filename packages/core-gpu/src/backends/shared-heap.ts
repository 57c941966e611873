// tfjs-backend-wasm keeps its tensors in a memory that no other thread can enter. One flag in its binary makes the memory
// a shared one: then our kernels work on the tensors from several threads, without a copy.
import { isNode, resolveFile } from './runtime.ts'

const fileNames = [
  'tfjs-backend-wasm.wasm',
  'tfjs-backend-wasm-simd.wasm',
  'tfjs-backend-wasm-threaded-simd.wasm',
] as const

const memorySection = 5
const hasMaximum = 1
const hasMaximumAndShared = 3

/**
 * Marks a WebAssembly binary's own memory as shared, in place.
 * @returns whether the binary defines exactly one memory with a maximum, as sharing needs
 */
export function shareMemory(binary: Uint8Array): boolean {
  let at = 8 // after the magic number and the version
  const readNumber = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++]!
      value |= (byte & 127) << shift
      if (byte < 128) return value
    }
  }
  while (at < binary.length) {
    const id = binary[at++]
    const end = readNumber() + at
    if (id === memorySection) {
      const count = readNumber()
      if (count !== 1 || binary[at] !== hasMaximum) return false
      binary[at] = hasMaximumAndShared
      return true
    }
    at = end
  }
  return false
}

/**
 * Where tfjs-backend-wasm's binaries lie, changed so that their memory is shared; one object address under each name.
 * @param simd whether the runtime has SIMD, and so which of the binaries will be asked for
 * @param paths where the original ones lie; in Node not needed
 * @returns null when the runtime or the binary does not allow it
 */
export async function sharedHeapPaths(
  simd: boolean,
  paths: string | Record<string, string> | undefined,
): Promise<Record<string, string> | null> {
  const name = fileNames[simd ? 1 : 0]
  const place = typeof paths === 'string' ? paths + name : paths?.[name]
  const binary = await readBinary(name, place)
  if (binary === null || !shareMemory(binary) || !WebAssembly.validate(binary) || !canReserve()) return null
  const address = URL.createObjectURL(new Blob([binary], { type: 'application/wasm' }))
  return Object.fromEntries(fileNames.map((file) => [file, address]))
}

async function readBinary(name: string, place: string | undefined): Promise<Uint8Array<ArrayBuffer> | null> {
  if (isNode) {
    const { readFileSync } = process.getBuiltinModule('node:fs')
    return new Uint8Array(readFileSync(place ?? resolveFile(`@tensorflow/tfjs-backend-wasm/dist/${name}`)))
  }
  if (place === undefined) return null
  const response = await fetch(place, { credentials: 'same-origin' })
  return response.ok ? new Uint8Array(await response.arrayBuffer()) : null
}

/** Whether the runtime gives room for a shared memory as large as the library's maximum; it cannot be asked later. */
function canReserve(): boolean {
  try {
    return new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true }).buffer.byteLength > 0
  } catch {
    return false
  }
}

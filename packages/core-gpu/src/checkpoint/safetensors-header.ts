import { describeShape, describeValue } from '../validation/validation.ts'
import { numberTypes, type SafetensorsType } from './number-types.ts'

/** Where one tensor lies in a file. */
export interface SafetensorsEntry {
  readonly name: string
  readonly dtype: SafetensorsType
  readonly shape: number[]
  /** in bytes from the end of the header */
  readonly begin: number
  readonly end: number
}

export interface SafetensorsHeader {
  readonly entries: SafetensorsEntry[]
  readonly metadata: Record<string, string>
}

/** Bytes of the header's length, which comes first. */
export const LENGTH_BYTES = 8
const HEADER_LIMIT = 100_000_000

/**
 * The length of the header, and whether a file of this size can hold it.
 * @param bytes at least the first eight of the file, if it has that many
 * @param size of the whole file, in bytes
 * @throws RangeError when it cannot
 */
export function readHeaderLength(bytes: Uint8Array, size: number): number {
  if (size < LENGTH_BYTES) throw fault(`expected at least ${LENGTH_BYTES} bytes, got ${size}`)
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
  if (length > BigInt(HEADER_LIMIT))
    throw fault(`the header is said to be ${length} bytes long, at most ${HEADER_LIMIT} are allowed`)
  if (LENGTH_BYTES + Number(length) > size)
    throw fault(`truncated: the header should end at byte ${LENGTH_BYTES + Number(length)} of ${size}`)
  return Number(length)
}

/**
 * Reads a header and checks that its tensors fill the rest of the file without gap or overlap.
 * @param json the header's bytes
 * @param dataSize bytes that follow the header
 * @throws RangeError naming the entry at fault
 */
export function readHeader(json: Uint8Array, dataSize: number): SafetensorsHeader {
  const header = parse(json)
  const { __metadata__: metadata = {}, ...tensors } = header
  const entries = Object.entries(tensors).map(([name, entry]) => readEntry(name, entry))
  requireContiguous(entries, dataSize)
  return { entries, metadata: readMetadata(metadata) }
}

/** The bytes before the tensors: length and header, padded with spaces to a multiple of eight. */
export function writeHeader({ entries, metadata }: SafetensorsHeader): Uint8Array<ArrayBuffer> {
  for (const [name, value] of Object.entries(metadata))
    if (typeof value !== 'string')
      throw new TypeError(`metadata.${name}: expected a string, got ${describeValue(value)}`)
  const fields = entries.map(({ name, dtype, shape, begin, end }) => [
    name,
    { dtype, shape, data_offsets: [begin, end] },
  ])
  const about = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : []
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries([...about, ...fields])))
  const length = Math.ceil(json.length / 8) * 8
  if (length > HEADER_LIMIT)
    throw new RangeError(`state: its header has ${length} bytes, at most ${HEADER_LIMIT} are allowed`)
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true)
  bytes.set(json, LENGTH_BYTES)
  return bytes
}

/** An error about what was read. */
export function fault(message: string): RangeError {
  return new RangeError(`source: not a valid safetensors file: ${message}`)
}

function parse(json: Uint8Array): Record<string, unknown> {
  let header: unknown
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json)
    header = JSON.parse(text)
  } catch (error) {
    throw fault(`the header is no JSON (${(error as Error).message})`)
  }
  if (!text.startsWith('{') || typeof header !== 'object') throw fault('the header does not start with "{"')
  requireDistinctKeys(text)
  return header as Record<string, unknown>
}

/** JSON.parse takes the last of two equal keys without a word; the format forbids them. */
function requireDistinctKeys(text: string): void {
  const open: Set<string>[] = []
  for (const [token, key] of text.matchAll(/[{}]|("(?:[^"\\]|\\.)*")(?=\s*:)|"(?:[^"\\]|\\.)*"/g)) {
    if (token === '{') open.push(new Set())
    else if (token === '}') open.pop()
    else if (key !== undefined) {
      const name = JSON.parse(key) as string
      if (open.at(-1)!.has(name)) throw fault(`the entry "${name}" is there twice`)
      open.at(-1)!.add(name)
    }
  }
}

function readEntry(name: string, entry: unknown): SafetensorsEntry {
  if (typeof entry !== 'object' || entry === null)
    throw fault(`entry "${name}" is ${describeValue(entry)}, not an object`)
  const { dtype, shape, data_offsets: offsets } = entry as Record<string, unknown>
  if (typeof dtype !== 'string' || !Object.hasOwn(numberTypes, dtype))
    throw fault(
      `entry "${name}" has the unknown dtype ${describeValue(dtype)}; known are ${Object.keys(numberTypes).join(', ')}`,
    )
  if (!isSizes(shape)) throw fault(`entry "${name}" has no valid shape: ${JSON.stringify(shape)}`)
  if (!isSizes(offsets) || offsets.length !== 2)
    throw fault(`entry "${name}" has no valid data_offsets: ${JSON.stringify(offsets)}`)
  const [begin, end] = offsets as [number, number]
  const wanted = shape.reduce((product, size) => product * size, 1) * numberTypes[dtype as SafetensorsType].bytes
  if (end - begin !== wanted)
    throw fault(`entry "${name}" spans ${end - begin} bytes, but ${dtype} ${describeShape(shape)} takes ${wanted}`)
  return { name, dtype: dtype as SafetensorsType, shape, begin, end }
}

function requireContiguous(entries: SafetensorsEntry[], dataSize: number): void {
  let reached = 0
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < reached)
      throw fault(`entry "${name}" overlaps the one before it (begins at ${begin}, expected ${reached})`)
    if (begin > reached) throw fault(`there is a gap before entry "${name}" (begins at ${begin}, expected ${reached})`)
    if (end > dataSize) throw fault(`truncated: entry "${name}" ends at byte ${end} of ${dataSize}`)
    reached = end
  }
  if (reached !== dataSize) throw fault(`${dataSize - reached} bytes after the last entry belong to none`)
}

function readMetadata(metadata: unknown): Record<string, string> {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw fault(`__metadata__ is ${describeValue(metadata)}, not an object`)
  for (const [name, value] of Object.entries(metadata))
    if (typeof value !== 'string') throw fault(`__metadata__ entry "${name}" is ${describeValue(value)}, not a string`)
  return metadata as Record<string, string>
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)
}

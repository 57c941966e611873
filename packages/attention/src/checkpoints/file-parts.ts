import { describeValue } from '@x/core-gpu'

/** Where a file can be read from; a string is a path, or an address when it starts with `http`. */
export type FileSource = string | URL | Uint8Array | ArrayBuffer | Blob

/** A file of which any part can be read. */
export interface FileParts {
  readonly size: number
  /** @returns bytes at the beginning of their own buffer */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>
}

/**
 * Opens a file, without reading it whole where that can be helped.
 * @throws TypeError when that is no place of a file
 * @throws Error when it cannot be read
 */
export async function openFile(source: FileSource): Promise<FileParts> {
  if (source instanceof Uint8Array) return partsOf(source)
  if (source instanceof ArrayBuffer) return partsOf(new Uint8Array(source))
  if (source instanceof Blob)
    return {
      size: source.size,
      read: async (begin, end) => new Uint8Array(await source.slice(begin, end).arrayBuffer()),
    }
  if (typeof source !== 'string' && !(source instanceof URL))
    throw new TypeError(`source: expected a path, URL, bytes or blob, got ${describeValue(source)}`)
  const path = pathOf(source)
  return path === undefined ? openAddress(source) : openPath(path)
}

/** A file's text, or null where there is none. */
export async function readText(place: string | URL): Promise<string | null> {
  const path = pathOf(place)
  if (path !== undefined) {
    const { readFile } = nodeFiles()!.promises
    return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
  }
  const response = await fetch(place)
  if (response.status === 404) return null
  return (await answered(place, response)).text()
}

/** A place in a folder. */
export function inFolder(folder: string | URL, name: string): string | URL {
  if (folder instanceof URL) return new URL(encodeURIComponent(name), folder.href.replace(/\/?$/, '/'))
  return `${folder.replace(/\/$/, '')}/${isAddress(folder) ? encodeURIComponent(name) : name}`
}

const isAddress = (place: string): boolean => /^https?:/.test(place)

function nodeFiles(): typeof import('node:fs') | undefined {
  return globalThis.process?.getBuiltinModule?.('node:fs')
}

/** undefined for what is to be fetched */
function pathOf(place: string | URL): string | undefined {
  if (typeof place === 'string') return nodeFiles() && !isAddress(place) ? place : undefined
  if (place.protocol !== 'file:') return undefined
  return globalThis.process?.getBuiltinModule?.('node:url')?.fileURLToPath(place)
}

function partsOf(bytes: Uint8Array): FileParts {
  return { size: bytes.byteLength, read: async (begin, end) => new Uint8Array(bytes.subarray(begin, end)) }
}

async function openPath(path: string): Promise<FileParts> {
  const { open, stat } = nodeFiles()!.promises
  const { size } = await stat(path)
  return {
    size,
    async read(begin, end) {
      const file = await open(path, 'r')
      try {
        const bytes = new Uint8Array(end - begin)
        for (let at = 0; at < bytes.length;) {
          const { bytesRead } = await file.read(bytes, at, bytes.length - at, begin + at)
          if (bytesRead === 0) throw new Error(`source: ${path} ends at byte ${begin + at}`)
          at += bytesRead
        }
        return bytes
      } finally {
        await file.close()
      }
    },
  }
}

/** Asks for parts, and takes the whole where a server knows none. */
async function openAddress(address: string | URL): Promise<FileParts> {
  const ask = async (begin: number, end: number): Promise<Response> =>
    answered(address, await fetch(address, { headers: { Range: `bytes=${begin}-${end - 1}` } }))
  const first = await ask(0, 8)
  const size = Number(/\/(\d+)$/.exec(first.headers.get('Content-Range') ?? '')?.[1] ?? NaN)
  if (first.status !== 206 || Number.isNaN(size)) {
    const whole = first.status === 206 ? await answered(address, await fetch(address)) : first
    return partsOf(new Uint8Array(await whole.arrayBuffer()))
  }
  await first.body?.cancel()
  return {
    size,
    async read(begin, end) {
      if (begin === end) return new Uint8Array(0)
      const bytes = new Uint8Array(await (await ask(begin, end)).arrayBuffer())
      if (bytes.byteLength !== end - begin)
        throw new Error(`source: ${String(address)} gave ${bytes.byteLength} bytes, expected ${end - begin}`)
      return bytes
    },
  }
}

async function answered(place: string | URL, response: Response): Promise<Response> {
  if (!response.ok) throw new Error(`source: ${String(place)} answered ${response.status} ${response.statusText}`)
  return response
}

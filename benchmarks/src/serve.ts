import { once } from 'node:events'
import { createReadStream, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { extname, join, resolve, sep } from 'node:path'

const types: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml; charset=utf-8',
  '.ttf': 'font/ttf',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
  '.xml': 'application/xml; charset=utf-8',
}

export interface StaticSiteOptions {
  /** the path under which the site lies, such as `/x/`; `/` by default */
  readonly base?: string
}

/** The file that a request means; undefined when there is none or it lies outside. */
export function fileForPath(folder: string, base: string, path: string): string | undefined {
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    return undefined
  }
  if (!decoded.startsWith(base) || decoded.includes('\0')) return undefined
  const root = resolve(folder)
  const file = resolve(root, `./${decoded.slice(base.length)}`)
  if (file !== root && !file.startsWith(root + sep)) return undefined
  for (const candidate of [file, join(file, 'index.html'), `${file}.html`]) {
    if (statSync(candidate, { throwIfNoEntry: false })?.isFile()) return candidate
  }
  return undefined
}

/** Serves a folder of static files. */
export function staticSite(folder: string, options: StaticSiteOptions = {}): Server {
  const base = `/${options.base ?? ''}/`.replaceAll(/\/+/g, '/')
  return createServer((request, response) => {
    const path = (request.url ?? '/').split(/[?#]/, 1)[0] ?? '/'
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end()
      return
    }
    if (base !== '/' && (path === '/' || `${path}/` === base)) {
      response.writeHead(302, { Location: base }).end()
      return
    }
    const found = fileForPath(folder, base, path)
    const file = found ?? fileForPath(folder, base, `${base}404.html`)
    response.writeHead(found === undefined ? 404 : 200, {
      'Content-Type': file === undefined ? 'text/plain' : (types[extname(file)] ?? 'application/octet-stream'),
      // Threads in WebAssembly need an isolated page.
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'X-Content-Type-Options': 'nosniff',
    })
    if (file === undefined || request.method === 'HEAD') response.end(file === undefined ? 'not found\n' : undefined)
    else createReadStream(file).pipe(response)
  })
}

/**
 * Starts a server on this computer only, at the first free port.
 * @returns the port
 */
export async function listenFrom(server: Server, firstPort: number): Promise<number> {
  for (let port = firstPort; port < firstPort + 100; port++) {
    try {
      server.listen(port, 'localhost')
      await once(server, 'listening')
      return port
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error
    }
  }
  throw new Error(`no free port from ${firstPort} to ${firstPort + 99}`)
}

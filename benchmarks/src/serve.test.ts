import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fileForPath, listenFrom, staticSite } from './serve.ts'

let root = ''
let site = ''
const servers: Server[] = []

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'site-'))
  site = join(root, 'dist')
  mkdirSync(join(site, 'guide'), { recursive: true })
  mkdirSync(join(root, 'dist-secret'))
  writeFileSync(join(root, 'secret.txt'), 'secret')
  writeFileSync(join(root, 'dist-secret', 'a.txt'), 'secret')
  writeFileSync(join(site, 'index.html'), 'front')
  writeFileSync(join(site, '404.html'), 'nowhere')
  writeFileSync(join(site, 'guide', 'index.html'), 'guide')
  writeFileSync(join(site, 'kernel.wasm'), 'wasm')
  writeFileSync(join(site, 'a b.js'), 'script')
})
afterAll(() => {
  for (const server of servers) server.close()
  rmSync(root, { recursive: true })
})

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly location: string | undefined
}

/** Asks with the path as it stands: `fetch` would tidy it up. */
async function ask(port: number, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ host: 'localhost', port, path, method }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => {
        const { location, 'content-type': type = '' } = response.headers
        resolve({ status: response.statusCode ?? 0, type, body, location })
      })
    })
      .on('error', reject)
      .end()
  })
}

async function serve(base?: string): Promise<number> {
  const server = staticSite(site, base === undefined ? {} : { base })
  servers.push(server)
  return listenFrom(server, 45_321)
}

describe('staticSite', () => {
  it('serves files and folders with their types', async () => {
    const port = await serve()
    expect(await ask(port, '/?a=1')).toMatchObject({ status: 200, type: 'text/html; charset=utf-8', body: 'front' })
    expect(await ask(port, '/guide/')).toMatchObject({ status: 200, body: 'guide' })
    expect(await ask(port, '/kernel.wasm')).toMatchObject({ status: 200, type: 'application/wasm' })
    expect(await ask(port, '/a%20b.js')).toMatchObject({ status: 200, type: 'text/javascript; charset=utf-8' })
    expect(await ask(port, '/none')).toMatchObject({ status: 404, body: 'nowhere' })
    expect(await ask(port, '/', 'HEAD')).toMatchObject({ status: 200, body: '' })
    expect(await ask(port, '/', 'POST')).toMatchObject({ status: 405 })
  })

  it.each([
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/guide/../../secret.txt',
    '/../dist-secret/a.txt',
    '//../secret.txt',
    '/%00',
    '/%',
    '/..\\secret.txt',
  ])('never leaves its folder: %s', async (path) => {
    expect(fileForPath(site, '/', path)).toBeUndefined()
    const port = await serve()
    const { status, body } = await ask(port, path)
    expect([status, body]).toEqual([404, 'nowhere'])
  })

  it('lies under its base', async () => {
    const port = await serve('/x')
    expect(await ask(port, '/x/guide/')).toMatchObject({ status: 200, body: 'guide' })
    expect(await ask(port, '/')).toMatchObject({ status: 302, location: '/x/' })
    expect(await ask(port, '/x')).toMatchObject({ status: 302, location: '/x/' })
    expect(await ask(port, '/guide/')).toMatchObject({ status: 404 })
  })

  it('takes the next port when one is taken', async () => {
    const [first, second] = [await serve(), await serve()]
    expect(second).toBeGreaterThan(first)
  })
})

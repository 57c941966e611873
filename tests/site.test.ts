import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeFixture } from './site.fixture.ts'

const site = join(import.meta.dirname, '..', 'apps', 'site')
const base = '/x'
const chromiumPath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const noChromium = !existsSync(chromiumPath)
const reason = noChromium
  ? ` (skipped: no Chromium at ${chromiumPath}; apt-get install chromium, or set CHROMIUM_PATH)`
  : ''

const folder = mkdtempSync(join(tmpdir(), 'site-'))
const out = join(folder, 'measured')
const bare = join(folder, 'bare')

async function build(outDir: string, benchDirectory: string): Promise<void> {
  await promisify(execFile)(
    process.execPath,
    [join(site, 'node_modules', 'astro', 'bin', 'astro.mjs'), 'build', '--outDir', outDir],
    {
      cwd: site,
      maxBuffer: 2 ** 26,
      // Not the whole environment: what vitest sets (BASE_URL, MODE) would reach the build.
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        NODE_ENV: 'production',
        ASTRO_TELEMETRY_DISABLED: '1',
        BENCH_DIR: benchDirectory,
        BENCH_PUBLISHED: join(folder, 'nothing'),
        SITE_BASE: base,
        SITE_CACHE: join(folder, 'cache'),
      },
    },
  )
}

function pagesIn(place: string): string[] {
  return globSync('**/index.html', { cwd: place })
    .map((file) => `${base}/${file.replaceAll('\\', '/').replace(/index\.html$/, '')}`)
    .sort()
}

/** All pages, but of the methods of a family, whose pages are made alike, only every fortieth. */
function somePages(): string[] {
  const pages = Map.groupBy(pagesIn(out), (path) => /\/methods\/(.+)\/.+\//.exec(path)?.[1])
  return [...pages].flatMap(([family, own]) => (family === undefined ? own : own.filter((_, i) => i % 40 === 0)))
}

function read(place: string, path: string): string {
  return readFileSync(join(place, path, 'index.html'), 'utf8')
}

beforeAll(async () => {
  mkdirSync(join(folder, 'nothing'))
  writeFixture(join(folder, 'bench'))
  await build(bare, join(folder, 'nothing'))
  await build(out, join(folder, 'bench'))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the built site', () => {
  it('has a page for every part and every method', () => {
    const paths = globSync('packages/*/src/*/*/*.md', { cwd: join(site, '..', '..') })
      .map((file) => file.split('/'))
      .filter(([, , , , name, page]) => page === `${name}.md`)
      .map(([, family, , , name]) => `${base}/methods/${family}/${name}/`)
    expect(paths.length).toBeGreaterThan(0)
    const own = ['', 'benchmarks/', 'claims/', 'methods/', 'getting-started/', 'measurements/', 'add-a-method/']
    expect(pagesIn(out)).toEqual(expect.arrayContaining([...own.map((path) => `${base}/${path}`), ...paths]))
  })

  it('has no dead link, to a page, a heading, a picture or a result', () => {
    const dead: string[] = []
    for (const page of pagesIn(out)) {
      const html = read(out, page.slice(base.length))
      for (const [, quoted = ''] of html.matchAll(/\s(?:href|src)="([^"]+)"/g)) {
        const link = quoted.replaceAll('&amp;', '&')
        if (/^(https?:|data:|mailto:)/.test(link)) continue
        const { pathname, hash } = new URL(link, `http://site${page}`)
        const file = join(out, decodeURIComponent(pathname).slice(base.length))
        const target = existsSync(file) && statSync(file).isDirectory() ? join(file, 'index.html') : file
        const known = pathname.startsWith(`${base}/`) && existsSync(target)
        if (!known || (hash !== '' && !readFileSync(target, 'utf8').includes(`id="${hash.slice(1)}"`)))
          dead.push(`${page} -> ${link}`)
      }
    }
    expect(dead).toEqual([])
  })

  it('sets every formula', () => {
    const broken = pagesIn(out).filter((page) => read(out, page.slice(base.length)).includes('katex-error'))
    expect(broken).toEqual([])
  })

  it('copies every result as raw data', () => {
    const files = globSync('results/*/*.json', { cwd: out })
    const stored = globSync('results/*/{vq,kernels}/**/*.json', { cwd: join(folder, 'bench') })
    expect(files).toHaveLength(stored.length)
    for (const file of files) expect(JSON.parse(readFileSync(join(out, file), 'utf8'))).toHaveProperty('run.task')
  })

  it('tells ok, failed, skipped and not run apart, each with its reason', () => {
    const html = read(out, 'benchmarks')
    for (const status of ['ok', 'ok,failed', 'skipped', 'not run']) expect(html).toContain(`data-status="${status}"`)
    expect(html).toContain('loss became NaN at step 12')
    expect(html).toContain('no WebGPU adapter on this machine')
  })

  it('shows kernels beside those of others, with intervals and a chart', () => {
    const html = read(out, 'benchmarks')
    expect(html).toMatch(/data-task="kernels\/matmul"/)
    expect(html).toContain('15.0× to 17.0×')
    expect(html).toContain('1.50× to 2.50×')
    expect(html).toContain('plain, m 1024, k 1024, n 1024: TensorFlow.js 16.0×, PyTorch 0.50×')
    expect(html).toContain('bench --task kernels/matmul --peers torch')
  })

  it('shows private pictures that are here and says so where they are not', () => {
    expect(read(out, 'methods/vq/simvq')).toMatch(/<img src="\/x\/results\/[^"]+-simvq-s0-digits\.png"/)
    const absent = read(out, 'methods/vq/vq')
    expect(absent).not.toMatch(/digits\.png/)
    expect(absent).toContain('must not be republished')
  })

  it('computes caches without a script, as published', () => {
    const html = read(bare, 'cache-calculator')
    for (const size of ['480 GiB', '30 GiB', '3.75 GiB', '8.44 GiB']) expect(html).toContain(`>${size}</td>`)
  })

  it('says that nothing was measured, and which command does it', () => {
    for (const path of ['', 'benchmarks', 'methods/vq/simvq']) {
      expect(read(bare, path)).toMatch(/has (not )?been measured on this machine/)
      expect(read(bare, path)).toMatch(/npx -y pnpm@12 (bench|demo)/)
    }
    expect(read(bare, 'claims')).toContain('npx -y pnpm@12 claims')
    expect(globSync('results/**/*.json', { cwd: bare })).toEqual([])
  })
})

describe(`in Chromium${reason}`, () => {
  let server: Server
  let browser: Browser
  let origin = ''

  beforeAll(async () => {
    if (noChromium) return
    server = serve(out)
    origin = `http://localhost:${(server.address() as AddressInfo).port}`
    const flags = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run']
    const args = ['--no-sandbox', '--disable-gpu', ...flags]
    browser = await chromium.launch({ executablePath: chromiumPath, args })
  })

  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  async function visit<T>(options: BrowserContextOptions, look: (page: Page) => Promise<T>): Promise<T> {
    const context = await browser.newContext(options)
    try {
      return await look(await context.newPage())
    } finally {
      await context.close()
    }
  }

  it.skipIf(noChromium)('pages answer, fit a phone and report no error', async () => {
    const faults: string[] = []
    await visit({ viewport: { width: 360, height: 740 } }, async (page) => {
      page.on('console', (message) => message.type() === 'error' && faults.push(`${page.url()}: ${message.text()}`))
      page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`))
      for (const path of somePages()) {
        const response = await page.goto(origin + path)
        // The search box is made by a late script; leaving earlier would be its error.
        await page.locator('#starlight__search .pagefind-ui').waitFor({ state: 'attached' })
        if (response?.status() !== 200) faults.push(`${path}: ${response?.status()}`)
        const width = await page.evaluate(() => document.documentElement.scrollWidth)
        if (width > 360) faults.push(`${path}: ${width} px wide`)
      }
    })
    expect(faults).toEqual([])
  })

  it.skipIf(noChromium)('charts are named pictures and formulas are set', async () => {
    await visit({}, async (page) => {
      for (const path of [
        '/',
        '/benchmarks/',
        '/methods/vq/simvq/',
        '/methods/diffusion/heun/',
        '/methods/diffusion/cosine/',
      ]) {
        await page.goto(origin + base + path)
        const charts = await page
          .locator('figure svg[role="img"]')
          .evaluateAll((all) => all.map((svg) => svg.ariaLabel ?? ''))
        expect(charts.length, path).toBeGreaterThan(0)
        for (const label of charts) expect(label.length, path).toBeGreaterThan(20)
        expect(await page.locator('figure svg').count()).toBe(charts.length)
      }
      expect(await page.locator('.katex').count()).toBeGreaterThan(0)
      // Subscripts are smaller only when the style sheet fits the markup.
      const sizes = await page
        .locator('.katex .msupsub .sizing')
        .first()
        .evaluate((script) => [
          Number.parseFloat(getComputedStyle(script).fontSize),
          Number.parseFloat(getComputedStyle(script.closest('.katex')!).fontSize),
        ])
      expect(sizes[0]).toBeLessThan(sizes[1]!)
    })
  })

  it.skipIf(noChromium)('sorts and filters, and a link keeps what was chosen', async () => {
    await visit({}, async (page) => {
      const digits = page.locator('table[data-task="vq/digits"]')
      const column = async (): Promise<number[]> => {
        const cells = digits.locator('tbody:not([hidden]) tr:first-child td:nth-of-type(5)')
        const values = await cells.evaluateAll((all) => all.map((cell) => (cell as HTMLElement).dataset.value ?? ''))
        return values.filter((value) => value !== '').map(Number)
      }
      await page.goto(`${origin}${base}/benchmarks/`)
      const all = await digits.locator('tbody').count()
      const unsorted = await column()
      const head = digits.locator('th[data-column="usage"]')
      await head.getByRole('button').click()
      expect(await column()).toEqual(unsorted.toSorted((a, b) => a - b))
      await head.getByRole('button').click()
      expect(await column()).toEqual(unsorted.toSorted((a, b) => b - a))
      expect(await head.getAttribute('aria-sort')).toBe('descending')

      await page.locator('select[name=method]').selectOption('vq/simvq')
      const shown = digits.locator('tbody:not([hidden])')
      expect(await shown.count()).toBeGreaterThan(0)
      expect(await shown.count()).toBeLessThan(all)
      expect(
        await shown.evaluateAll((rows) => rows.every((row) => (row as HTMLElement).dataset.method === 'vq/simvq')),
      ).toBe(true)

      const address = page.url()
      const before = await column()
      await page.goto('about:blank')
      await page.goto(address)
      expect(await head.getAttribute('aria-sort')).toBe('descending')
      expect(await column()).toEqual(before)
      expect(await page.locator('select[name=method]').inputValue()).toBe('vq/simvq')
      await page.locator('select[name=method]').selectOption('')
      await page.locator('select[name=status]').selectOption('failed')
      expect(await page.locator('tbody:not([hidden])').count()).toBe(1)
    })
  })

  it.skipIf(noChromium)('computes caches of what is chosen', async () => {
    await visit({}, async (page) => {
      await page.goto(`${origin}${base}/cache-calculator/`)
      await page.locator('select[name=model]').selectOption('llama-3-8b')
      await page.locator('input[name=context]').fill('8192')
      const own = page.locator('tr[data-variant=own] td')
      expect(await own.allTextContents()).toEqual(['128 KiB', '1 GiB'])
      await page.locator('input[name=batch]').fill('4')
      await page.locator('select[name=storage]').selectOption('float32')
      expect(await own.allTextContents()).toEqual(['256 KiB', '8 GiB'])
      expect(await page.locator('caption').textContent()).toBe('Llama 3 8B, 8,192 tokens, 4 sequences, float32')
    })
  })

  it.skipIf(noChromium)('hands out raw data and the command that does a row again', async () => {
    await visit({ permissions: ['clipboard-read', 'clipboard-write'] }, async (page) => {
      await page.goto(`${origin}${base}/benchmarks/`)
      const details = page.locator('table details').first()
      await details.locator('summary').click()
      const command = await details.locator('.command code').innerText()
      expect(command).toMatch(/^npx -y pnpm@12 bench --task vq\/digits --method \S+ .*--seed \d+(,\d+)*/)
      await details.getByRole('button', { name: 'Copy' }).click()
      await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe(command)
      const link = await details.getByRole('link', { name: 'seed 0' }).getAttribute('href')
      const answer = await page.request.get(origin + link)
      expect(answer.status()).toBe(200)
      expect((await answer.json()) as unknown).toHaveProperty('run.seed', 0)
    })
  })

  it.skipIf(noChromium)('reads without JavaScript', async () => {
    await visit({ javaScriptEnabled: false }, async (page) => {
      await page.goto(`${origin}${base}/benchmarks/?method=vq/simvq`)
      const rows = page.locator('table[data-task="vq/digits"] tbody')
      expect(await rows.count()).toBeGreaterThan(5)
      for (const row of await rows.all()) expect(await row.isVisible()).toBe(true)
      expect(await page.getByLabel('Filter the results').isVisible()).toBe(false)
      expect(await page.locator('th button').count()).toBe(0)
      expect(await page.locator('figure svg').first().isVisible()).toBe(true)
    })
  })

  it.skipIf(noChromium).each(['light', 'dark'] as const)('is accessible in %s', async (colorScheme) => {
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
    const found: string[] = []
    await visit({ colorScheme }, async (page) => {
      // Texts are all alike in the dark; what is drawn is not.
      const drawn = /\/(benchmarks|claims|getting-started|methods\/.*)\/$|^\/x\/$/
      for (const path of somePages().filter((page) => colorScheme === 'light' || drawn.test(page))) {
        await page.goto(origin + path)
        const theme = await page.evaluate(() => document.documentElement.dataset.theme)
        expect(theme).toBe(colorScheme)
        const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
        const [red = 0] = paper.match(/\d+/g)!.map(Number)
        expect(red > 128, `${path} ${paper}`).toBe(colorScheme === 'light')
        await page.evaluate(axe)
        // Only colours differ in the dark.
        const rules = colorScheme === 'light' ? null : ['color-contrast']
        let violations = await violationsOn(page, rules)
        // Scrolling code is made focusable by a late script.
        for (let again = 0; again < 5 && violations.length > 0; again++) {
          await page.waitForTimeout(300)
          violations = await violationsOn(page, rules)
        }
        found.push(...violations.map((violation) => `${path} ${violation}`))
      }
    })
    expect(found).toEqual([])
  })
})

/** What axe finds on a page beyond the one fault that is Starlight's own: its search button's name is not its text. */
async function violationsOn(page: Page, rules: readonly string[] | null): Promise<string[]> {
  const violations = await page.evaluate(async (rules) => {
    const { axe } = globalThis as unknown as { axe: { run(context: object, options: object): Promise<AxeResults> } }
    // The marks of a chart are many and have nothing of their own to say.
    const marks = ['path', 'line', 'circle', 'text'].map((name) => [`figure svg ${name}`])
    const { violations } = await axe.run({ exclude: marks }, rules === null ? {} : { runOnly: rules })
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`))
  }, rules)
  return violations.filter((violation) => !/^label-content-name-mismatch: .*data-open-modal/.test(violation))
}

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly target: string[] }[] }[]
}

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

function serve(place: string): Server {
  return createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site')
    const file = join(place, decodeURIComponent(pathname).slice(base.length))
    const found = existsSync(file) && statSync(file).isDirectory() ? join(file, 'index.html') : file
    if (!pathname.startsWith(`${base}/`) || !existsSync(found)) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': types[extname(found)] ?? 'application/octet-stream' })
    response.end(readFileSync(found))
  }).listen(0)
}

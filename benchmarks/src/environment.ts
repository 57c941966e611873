import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot } from './places.ts'
import type { Environment, Machine } from './result.ts'
import { hashOf } from './run-key.ts'

/** The graphics cards that NVIDIA's driver on Linux lists below a folder, by name. */
export function listGpus(folder = '/proc/driver/nvidia/gpus'): string[] {
  return globSync('*/information', { cwd: folder })
    .sort()
    .map((name) => /^Model:\s*(.+?)\s*$/m.exec(readFileSync(join(folder, name), 'utf8'))?.[1] ?? 'unknown')
}

/** What this machine is, without what changes from day to day. */
export function thisMachine(): Machine {
  const gpus = listGpus()
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release().split('.').slice(0, 2).join('.')}`,
    arch: arch(),
    // Left out where there are none, so that the id of a machine without stays what it was.
    ...(gpus.length > 0 && { gpus }),
  }
}

/** Short hash of a machine's specification. */
export function idOfMachine(machine: Machine): string {
  return hashOf(machine).slice(0, 8)
}

/** The packages whose versions can move a figure. */
const measured = [
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs-backend-cpu',
  '@tensorflow/tfjs-backend-wasm',
  '@tensorflow/tfjs-backend-webgpu',
  '@tensorflow/tfjs-node',
  '@x/core-gpu',
  '@x/diffusion',
  '@x/vq',
]

function packageVersions(): Record<string, string> {
  const versions: Record<string, string> = {}
  for (const name of measured) {
    for (const from of ['benchmarks', 'packages/core-gpu']) {
      try {
        const require = createRequire(join(repositoryRoot(), from, 'package.json'))
        const { version } = JSON.parse(readFileSync(require.resolve(`${name}/package.json`), 'utf8')) as {
          version: string
        }
        versions[name] ??= version
      } catch {
        // Not a dependency of this one, or not installed here: then it measured nothing.
      }
    }
  }
  return versions
}

function git(...args: string[]): string {
  return execFileSync('git', args, {
    cwd: repositoryRoot(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 10_000,
  }).trim()
}

function revision(): Pick<Environment, 'commit' | 'dirty'> {
  try {
    return { commit: git('rev-parse', '--verify', 'HEAD'), dirty: git('status', '--porcelain') !== '' }
  } catch {
    return { commit: null, dirty: false }
  }
}

/** What all runs of a sweep share; each adds its device and the load when it began. */
export type SharedEnvironment = Omit<Environment, 'device' | 'load'>

/** Describes where a sweep runs. */
export function describeEnvironment(concurrency: number): SharedEnvironment {
  const machine = thisMachine()
  return {
    machine,
    machineId: idOfMachine(machine),
    runtime: `Node.js ${process.versions.node}`,
    packages: packageVersions(),
    ...revision(),
    concurrency,
  }
}

/** The load average of the last minute. */
export function currentLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100
}

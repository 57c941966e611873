import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** The repository's root, found upwards, so that it is the same from the sources and from the site's bundle. */
export function repositoryRoot(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'pnpm-workspace.yaml'))) return folder
    if (folder === dirname(folder)) throw new Error(`no pnpm-workspace.yaml above ${import.meta.dirname}`)
  }
}

/** Where runs leave what they make on this machine; `BENCH_DIR` names another place. */
export function benchDirectory(): string {
  return process.env.BENCH_DIR === undefined ? join(repositoryRoot(), '.bench') : resolve(process.env.BENCH_DIR)
}

/** Where the results of one machine lie before they are published. */
export function localResults(machineId: string): string {
  return join(benchDirectory(), 'results', machineId)
}

/** The committed results, one folder for each machine; `BENCH_PUBLISHED` names another place. */
export function publishedResults(): string {
  const place = process.env.BENCH_PUBLISHED
  return place === undefined ? join(repositoryRoot(), 'benchmarks', 'results') : resolve(place)
}

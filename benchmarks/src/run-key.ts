import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import type { Task } from './define-task.ts'
import { repositoryRoot } from './places.ts'
import type { RunSpec } from './result.ts'

/** JSON with sorted keys: equal values give equal text, in whatever order they were written. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, entry]) => `${JSON.stringify(name)}:${canonicalJson(entry)}`).join(',')}}`
}

/** Short hash of a value's canonical JSON. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 16)
}

/** Identifies what was run, wherever it ran. */
export function specKey(spec: RunSpec): string {
  return hashOf(spec)
}

/** Identifies what was run and on which kind of machine: a result is stored once under it. */
export function runKey(spec: RunSpec, machineId: string): string {
  return hashOf({ spec, machineId })
}

/** Tests, prose and generated code change no result. */
const ignored = /\.test\.ts$|\.cases\.ts$|\.md$|\.gen\.ts$/

/** Files of the one backend whose sources lie apart. */
const ofWebgpu = /(^|-)webgpu[-.]/

function* filesUnder(path: string, counts: (name: string) => boolean): Generator<string> {
  if (!statSync(path).isDirectory()) return yield path
  for (const name of readdirSync(path).sort()) {
    if (name !== 'node_modules' && name !== 'dist' && counts(name)) yield* filesUnder(join(path, name), counts)
  }
}

/**
 * Hash of the contents of a task's sources: results of other versions are never put in one line with its own. Kernels of
 * WebGPU count where the task is measured on it.
 * @throws RangeError when one of the sources does not exist
 */
export function taskVersion(task: Pick<Task, 'id' | 'sources' | 'backends'>, root: string = repositoryRoot()): string {
  const hash = createHash('sha256')
  const onWebgpu = task.backends.includes('webgpu')
  const counts = (name: string): boolean => !ignored.test(name) && (onWebgpu || !ofWebgpu.test(name))
  for (const source of [...task.sources].sort()) {
    const path = join(root, source)
    if (!existsSync(path)) throw new RangeError(`sources of ${task.id}: "${source}" does not exist`)
    for (const file of filesUnder(path, counts)) {
      const content = readFileSync(file)
      hash.update(`${relative(root, file).split(sep).join('/')}\0${content.length}\0`).update(content)
    }
  }
  return hash.digest('hex').slice(0, 16)
}

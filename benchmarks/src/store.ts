import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import * as v from 'valibot'
import { type Artifact, type Result, ResultSchema, type RunSpec } from './result.ts'

/** Writes a file so that readers see the old content or the new one, never a part. */
export function writeAtomically(file: string, content: string | Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true })
  const partial = join(dirname(file), `.${basename(file)}.${process.pid}.partial`)
  try {
    writeFileSync(partial, content, { flush: true })
    renameSync(partial, file)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
}

/** Where a run's result lies: `<task>/<method>-s<seed>-<key8>.json` in the machine's folder. */
export function resultFile(folder: string, run: RunSpec, key: string): string {
  return join(folder, ...run.task.split('/'), `${run.method}-s${run.seed}-${key.slice(0, 8)}.json`)
}

/** The folder of a run's pictures, beside its result. */
export function artifactFolder(file: string): string {
  return file.replace(/\.json$/, '')
}

function check(value: unknown, file: string): Result {
  const parsed = v.safeParse(ResultSchema, value)
  if (parsed.success) return parsed.output
  const issue = parsed.issues[0]
  throw new TypeError(`${file}: ${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`)
}

/**
 * Stores a result under its key.
 * @returns the file
 * @throws TypeError when the result does not follow the schema
 */
export function writeResult(folder: string, result: Result): string {
  const file = resultFile(folder, result.run, result.key)
  writeAtomically(file, `${JSON.stringify(check(result, file), null, 1)}\n`)
  return file
}

/**
 * Reads a stored result.
 * @throws TypeError when the file is not JSON or does not follow the schema
 */
export function readResult(file: string): Result {
  const text = readFileSync(file, 'utf8')
  try {
    return check(JSON.parse(text), file)
  } catch (error) {
    if (error instanceof SyntaxError) throw new TypeError(`${file}: not JSON`, { cause: error })
    throw error
  }
}

/** The stored result of a run, if there is a valid one; a file that can't be read counts as none. */
export function findResult(folder: string, run: RunSpec, key: string): Result | undefined {
  const file = resultFile(folder, run, key)
  if (!existsSync(file)) return undefined
  try {
    const result = readResult(file)
    return result.key === key ? result : undefined
  } catch {
    return undefined
  }
}

/** Whether nothing is left to do for a run: failed ones are tried again. */
export function isFinished(result: Result | undefined): boolean {
  return result?.status === 'ok' || result?.status === 'skipped'
}

/** Every result file in a machine's folder. */
export function resultFiles(folder: string): string[] {
  return globSync('**/*.json', { cwd: folder, exclude: ['claims.json'] })
    .sort()
    .map((name) => join(folder, name))
}

/** Where an artifact of a stored result lies. */
export function artifactFile(file: string, artifact: Artifact): string {
  return join(dirname(file), artifact.file)
}

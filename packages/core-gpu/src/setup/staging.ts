import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { bindingFile } from '../backends/tensorflow-build.ts'
import { SetupError } from './setup-error.ts'

/** Makes a folder beside its later place, so that moving it there is one step. */
export function makeStaging(target: string): string {
  mkdirSync(dirname(target), { recursive: true })
  return mkdtempSync(join(dirname(target), `.${basename(target)}-`))
}

/** @throws SetupError where a folder holds something else than an earlier build */
export function requireReplaceable(target: string): void {
  if (!existsSync(target) || readdirSync(target).length === 0 || existsSync(join(target, bindingFile))) return
  throw new SetupError(`${target} holds other files`, 'name a new or empty folder with --dir DIR')
}

/** Puts a finished folder into its place; what was there is removed when the new one is in. */
export function moveIntoPlace(staging: string, target: string): void {
  const old = `${staging}-old`
  if (existsSync(target)) renameSync(target, old)
  renameSync(staging, target)
  rmSync(old, { recursive: true, force: true })
}

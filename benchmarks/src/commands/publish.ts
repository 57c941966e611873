import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { idOfMachine, thisMachine } from '../environment.ts'
import { localResults, publishedResults } from '../places.ts'
import type { Result } from '../result.ts'
import { identityOf, readResults } from '../results.ts'
import { artifactFile, artifactFolder, readResult, resultFile, resultFiles, writeResult } from '../store.ts'

/** Copies one result with those of its pictures that may be seen. */
function copyResult(result: Result, file: string, to: string): void {
  if (result.status !== 'ok') {
    writeResult(to, result)
    return
  }
  const target = resultFile(to, result.run, result.key)
  const artifacts = result.artifacts.filter((artifact) => !artifact.private)
  for (const artifact of artifacts) {
    mkdirSync(dirname(artifactFile(target, artifact)), { recursive: true })
    copyFileSync(artifactFile(file, artifact), artifactFile(target, artifact))
  }
  writeResult(to, { ...result, artifacts })
}

/**
 * Copies the newest results of this machine to the committed folder, in place of older ones of the same runs; without
 * quick runs, failed ones and private pictures.
 * @returns the exit code: 1 when there is nothing to publish
 */
export async function publish(): Promise<number> {
  const machineId = idOfMachine(thisMachine())
  const to = join(publishedResults(), machineId)
  const newest = (await readResults({ sources: ['local'] })).filter(
    ({ result, file }) => file.startsWith(localResults(machineId)) && !result.run.quick && result.status !== 'failed',
  )
  const keys = new Map(newest.map(({ result }) => [identityOf(result), result.key]))
  for (const file of existsSync(to) ? resultFiles(to) : []) {
    const old = readResult(file)
    const key = keys.get(identityOf(old))
    if (key === undefined || key === old.key) continue
    rmSync(file)
    rmSync(artifactFolder(file), { recursive: true, force: true })
  }
  for (const { result, file } of newest) copyResult(result, file, to)
  const claims = join(localResults(machineId), 'claims.json')
  if (newest.length > 0 && existsSync(claims)) copyFileSync(claims, join(to, 'claims.json'))
  console.log(`${newest.length} results published in ${to}`)
  return newest.length > 0 ? 0 : 1
}

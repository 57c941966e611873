import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  // After a restart the number may belong to another program.
  const commandLine = `/proc/${pid}/cmdline`
  return !existsSync(commandLine) || readFileSync(commandLine, 'utf8').includes('cli.ts')
}

/**
 * Makes sure that one sweep at a time works in a folder; a lock that a killed one left behind counts for nothing.
 * @returns what gives the lock back
 * @throws Error when another sweep is running
 */
export function lock(file: string): () => void {
  mkdirSync(dirname(file), { recursive: true })
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const pid = Number(readFileSync(file, 'utf8'))
    if (pid > 0 && pid !== process.pid && isAlive(pid)) {
      throw new Error(`another sweep works in ${dirname(file)} (process ${pid}); wait for it, or end it`)
    }
    rmSync(file, { force: true })
  }
}

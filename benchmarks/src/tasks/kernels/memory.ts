import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A size of this process in bytes: `VmRSS`, or `VmHWM` for its peak; null where the system does not say. */
function resident(field: 'VmRSS' | 'VmHWM'): number | null {
  const line = readFileSync('/proc/self/status', 'utf8').match(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm'))
  return line === null ? null : Number(line[1]) * 1024
}

/** Makes the system's record of this process's peak start again; false where it can't. */
function forgetPeak(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
    return true
  } catch {
    return false
  }
}

/** Frees what is no longer used; large arrays go a little later, in a thread of their own. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let i = 0; i < 2; i++) {
    collect()
    await pause(100)
  }
}

/**
 * How far the resident memory of this process rises while a function runs, in bytes.
 *
 * Memory that was touched and freed before does not count when it is used again: only a first call tells.
 * @returns null where the system does not say (elsewhere than on Linux)
 */
export async function peakDuring(work: () => void | Promise<void>): Promise<number | null> {
  await collectGarbage()
  const measurable = forgetPeak()
  const before = measurable ? resident('VmRSS') : null
  await work()
  const peak = measurable ? resident('VmHWM') : null
  return before === null || peak === null ? null : Math.max(0, peak - before)
}

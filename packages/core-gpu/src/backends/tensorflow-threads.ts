// TensorFlow reads its environment once, when the first operation runs: the count of the process's first load stays.
let fixed: number | null | undefined

/**
 * Sets how many threads TensorFlow uses inside one operation, by TF_NUM_INTRAOP_THREADS, before it is loaded; also keeps
 * its messages of start off the console.
 * @param threads wanted; default: what the environment says, else all that this process may use
 * @returns the number in force; null where it cannot be known
 * @throws Error when TensorFlow is loaded already and has another number of threads
 */
export function fixThreads(threads: number | undefined, alreadyLoaded: boolean): number | null {
  fixed ??= alreadyLoaded ? null : writeEnvironment(threads)
  if (threads !== undefined && threads !== fixed)
    throw new Error(
      fixed === null
        ? 'the number of threads cannot be set here; start the process with TF_NUM_INTRAOP_THREADS'
        : `TensorFlow has ${fixed} threads in this process and cannot change that; use a new process`,
    )
  return fixed
}

function writeEnvironment(threads: number | undefined): number | null {
  const { isMainThread } = process.getBuiltinModule('node:worker_threads')
  // A worker's environment is a copy, which native code does not see.
  if (!isMainThread) return null
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1'
  const { availableParallelism } = process.getBuiltinModule('node:os')
  const count = threads ?? (Number(process.env['TF_NUM_INTRAOP_THREADS']) || availableParallelism())
  process.env['TF_NUM_INTRAOP_THREADS'] = String(count)
  return count
}

import { BackendError, type BackendName, type Device, useBackend, type UseBackendOptions } from '@x/core-gpu'
import { SkippedError } from './define-task.ts'

/**
 * Makes a backend the current one.
 * @throws SkippedError when this machine does not have it
 */
export async function openBackend(name: string, options: UseBackendOptions = {}): Promise<Device> {
  try {
    return await useBackend(name as BackendName, options)
  } catch (error) {
    if (error instanceof BackendError) throw new SkippedError(error.message, { cause: error })
    throw error
  }
}

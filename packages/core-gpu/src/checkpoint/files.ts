import type * as NodeFs from 'node:fs'
import type * as NodePath from 'node:path'
import type * as NodeUrl from 'node:url'

interface NodeModules {
  fs: typeof NodeFs
  path: typeof NodePath
  url: typeof NodeUrl
}

/** Asked for at run time, so that bundlers for the browser see no import of it; undefined where there is none. */
export function nodeModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined {
  return globalThis.process?.getBuiltinModule?.(`node:${name}`) as NodeModules[Name] | undefined
}

/**
 * Writes a file so that at any moment the old or the new one is there whole, even if the machine stops.
 *
 * The new one is written beside it, flushed to the disk and renamed; missing folders are made. Only where there are
 * files (Node, Deno, Bun).
 * @throws Error when it cannot be written; then nothing is left behind
 */
export async function writeFileAtomic(
  path: string,
  data: Uint8Array | string | AsyncIterable<Uint8Array>,
): Promise<void> {
  const { fs, dirname } = fileSystem()
  const folder = dirname(path)
  await fs.mkdir(folder, { recursive: true })
  const temporary = `${path}.${globalThis.crypto.randomUUID()}.tmp`
  try {
    const file = await fs.open(temporary, 'wx')
    try {
      await file.writeFile(data)
      await file.sync()
    } finally {
      await file.close()
    }
    await fs.rename(temporary, path)
  } catch (error) {
    await fs.rm(temporary, { force: true })
    throw error
  }
  await syncFolder(folder)
}

/** @returns the file's bytes, or null when there is no such file */
export async function readFileIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await fileSystem().fs.readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Node's files, for reading a file in parts. */
export function fileSystem(): { fs: typeof NodeFs.promises; dirname: (path: string) => string } {
  const [fs, path] = [nodeModule('fs'), nodeModule('path')]
  if (!fs || !path) throw new Error('there are no files here; pass bytes, a stream or a URL instead of a path')
  return { fs: fs.promises, dirname: path.dirname }
}

/** Makes the rename itself last; not every system lets a folder be opened for that. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await fileSystem().fs.open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!['EPERM', 'EISDIR', 'EINVAL', 'EACCES', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error
  }
}

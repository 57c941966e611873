import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Artifact, Result } from '@x/benchmarks/result'

/** A picture that a run made, and whether it can be shown. */
export interface Picture {
  readonly title: string
  /** where the page finds it, below `/results/<machine>/` */
  readonly name: string
  /** the file on this machine; null when it isn't here or must not be published */
  readonly file: string | null
  /** in pixels; 0 where there is no file */
  readonly width: number
  readonly height: number
  readonly private: boolean
}

interface Stored {
  readonly result: Result
  artifactPath(artifact: Artifact): string
}

/** Pictures of private data are part of a build for this machine only: one with a public address leaves them out. */
export function picturesOf(stored: Stored, published: boolean = process.env.SITE_URL !== undefined): Picture[] {
  if (stored.result.status !== 'ok') return []
  const { key, artifacts } = stored.result
  return artifacts.map((artifact) => {
    const path = stored.artifactPath(artifact)
    const shown = existsSync(path) && !(artifact.private && published)
    const name = `${key}-${basename(artifact.file)}`
    const { width, height } = shown ? sizeOf(readFileSync(path)) : { width: 0, height: 0 }
    return { title: artifact.title, name, file: shown ? path : null, width, height, private: artifact.private }
  })
}

/** A PNG says its size in its first chunk. */
function sizeOf(png: Buffer): { width: number; height: number } {
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20) }
}

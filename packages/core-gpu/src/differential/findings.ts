import findingsFile from './findings.json' with { type: 'json' }

/**
 * What is published of one pass of an operation on one backend.
 *
 * `ok`: right in tfjs; `corrected`: wrong in tfjs, right here; `added`: absent from tfjs, right here; `limited`: right, or
 * refused with a clear error; `refused`: always that; `none`: there is nothing to differentiate.
 */
export type Word = 'ok' | 'corrected' | 'added' | 'limited' | 'refused' | 'none'

/** Both passes of an operation on one backend, and its largest relative error. */
export interface Published {
  readonly forward: Word
  readonly gradient: Word
  readonly error: number
  /** what the stock kernels did in the first trial that they failed */
  readonly stock?: { readonly forward?: string; readonly gradient?: string }
}

/** What is published of an operation. */
export interface PublishedOperation {
  readonly kind: string
  readonly backends: Readonly<Record<string, Published>>
}

/** What the tests found when the table was last made, by operation. */
export const findings = findingsFile as unknown as Readonly<Record<string, PublishedOperation>>

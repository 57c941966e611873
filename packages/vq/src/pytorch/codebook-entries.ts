import * as tf from '@tensorflow/tfjs-core'
import { canReadSync, Linear } from '@x/core-gpu'
import { RunningAffineCodebook } from '../codebooks/affine.ts'
import type { Codebook } from '../codebooks/codebook.ts'
import { EmaCodebook } from '../codebooks/ema.ts'
import { FreeCodebook } from '../codebooks/free.ts'
import { InPlaceCodebook } from '../codebooks/in-place.ts'
import { LinearCodebook } from '../codebooks/linear.ts'
import type { CodebookQuantizer } from '../quantizer.ts'
import { DeadCodes } from '../revival/dead-codes.ts'
import { type Entry, plainEntry, unknownPart } from './entry.ts'

/** A codebook quantizer and what the names of its state begin with. */
export interface Head {
  readonly quantizer: CodebookQuantizer
  readonly own: string
}

/** One head's part of a tensor that PyTorch keeps for all heads, `[h, ...]`. */
interface Part {
  write(): tf.Tensor
  /** names in the own state that take the value; none where it is known here without */
  readonly own: readonly string[]
}

/** The entries of codebooks that are one module in PyTorch: a single one, or those of separate heads. */
export function codebookEntries(heads: readonly Head[], there: string): Entry[] {
  const [first, ...others] = heads
  const { codes } = first!.quantizer
  if (codes instanceof LinearCodebook && others.length === 0) return linearEntries(codes, first!.own, there)
  const odd = others.find(({ quantizer }) => !tf.util.arraysEqual(shapeOf(quantizer), shapeOf(first!.quantizer)))
  if (odd) throw unknownPart(odd.own)
  const books = heads.map(bookOf)
  const at = `${there}_codebook.`
  return [
    initialised(heads, `${at}initted`),
    stacked(`${at}cluster_size`, books, (book) => book.clusterSize),
    stacked(`${at}embed_avg`, books, (book) => book.clusterSum),
    stacked(`${at}embed`, books, (book) => book.codes),
    ...(others.length === 0 && codes instanceof RunningAffineCodebook
      ? affineEntries(codes, `${first!.own}codes.`, at)
      : []),
  ]
}

const shapeOf = ({ dim, codebookSize }: CodebookQuantizer): number[] => [codebookSize, dim]

interface Book {
  readonly clusterSize: Part
  readonly clusterSum: Part
  readonly codes: Part
}

function bookOf({ quantizer, own }: Head): Book {
  const { codes, revive } = quantizer
  if (revive && !(revive instanceof DeadCodes)) throw unknownPart(`${own}revive.`)
  const [book, at] = innermost(codes, `${own}codes.`)
  // PyTorch counts once, for codes and for their revival.
  const hits = revive ? [`${own}revive.hits`] : []
  if (book instanceof EmaCodebook)
    return {
      clusterSize: { write: () => tf.clone(book.clusterSize), own: [`${at}clusterSize`, ...hits] },
      clusterSum: { write: () => tf.clone(book.clusterSum), own: [`${at}clusterSum`] },
      codes: { write: () => book.codes(), own: [`${at}weight`] },
    }
  if (book instanceof FreeCodebook)
    return {
      clusterSize: { write: () => (revive ? tf.clone(revive.hits) : tf.ones([book.size])), own: hits },
      clusterSum: { write: () => book.codes(), own: [] },
      codes: { write: () => book.codes(), own: [`${at}weight`] },
    }
  throw unknownPart(at)
}

/** The codebook within those that only say how it learns or where it lies, and its name. */
function innermost(codebook: Codebook, own: string): [Codebook, string] {
  if (codebook instanceof InPlaceCodebook || codebook instanceof RunningAffineCodebook)
    return innermost(codebook.inner, `${own}inner.`)
  return [codebook, own]
}

function stacked(name: string, books: readonly Book[], part: (book: Book) => Part): Entry {
  return {
    name,
    write: () => tf.stack(books.map((book) => part(book).write())),
    read: (value) => {
      const rows = tf.unstack(value!)
      return Object.fromEntries(books.flatMap((book, h) => part(book).own.map((own) => [own, rows[h]!])))
    },
  }
}

/** Whether codes have been placed by data; codes that are not to be are so from the start. */
function initialised(heads: readonly Head[], name: string): Entry {
  const waiting = heads.filter(({ quantizer }) => quantizer.started !== undefined)
  return {
    name,
    write: () => tf.scalar(!waiting.some(({ quantizer }) => quantizer.waiting), 'bool'),
    read: (value) => {
      if (waiting.length < heads.length && canReadSync() && value!.dataSync()[0] === 0)
        throw new RangeError(
          `state: entry "${name}" says that codes are still to be placed by k-means, which this quantizer does not do`,
        )
      return Object.fromEntries(waiting.map(({ own }) => [`${own}started`, value!]))
    },
  }
}

/** SimVQ; a map of one's own keeps its names. */
function linearEntries({ basis, transform }: LinearCodebook, own: string, there: string): Entry[] {
  return [
    plainEntry(`${there}frozen_codebook`, `${own}codes.basis`, basis),
    ...Object.entries(transform.state()).map(([name, tensor]): Entry => {
      const entry = plainEntry(`${there}code_transform.${name}`, `${own}codes.transform.${name}`, tensor)
      if (!(transform instanceof Linear && name === 'bias')) return entry
      const read: Entry['read'] = (value, state) => entry.read(value ?? tf.zerosLike(tensor), state)
      return { name: entry.name, write: entry.write, read, optional: true, mapBias: true }
    }),
  ]
}

/** Running statistics, `[1, 1, d]` in PyTorch; before they have been seen, those of the codes hold anything. */
function affineEntries(codebook: RunningAffineCodebook, own: string, at: string): Entry[] {
  const { dim, seen } = codebook
  const statistic = (name: string, ownName: `${'batch' | 'codebook'}${'Mean' | 'Variance'}`, start: 0 | 1): Entry => ({
    name: at + name,
    optional: name.startsWith('batch'),
    write: () => tf.reshape(codebook[ownName], [1, 1, dim]),
    read: (value, state) => {
      const needsInit = state[`${at}${name}_needs_init`]
      const found = value ? tf.reshape(value, [dim]) : tf.fill([dim], start)
      return { [own + ownName]: needsInit ? tf.where(tf.cast(needsInit, 'bool'), start, found) : found }
    },
  })
  const unseen = (name: string): Entry => ({
    name: at + name,
    write: () => tf.reshape(tf.cast(tf.equal(seen, 0), 'bool'), []),
    read: (value) => ({ [`${own}seen`]: tf.cast(tf.logicalNot(tf.cast(value!, 'bool')), 'float32') }),
  })
  return [
    statistic('batch_mean', 'batchMean', 0),
    statistic('batch_variance', 'batchVariance', 1),
    unseen('codebook_mean_needs_init'),
    statistic('codebook_mean', 'codebookMean', 0),
    unseen('codebook_variance_needs_init'),
    statistic('codebook_variance', 'codebookVariance', 1),
  ]
}

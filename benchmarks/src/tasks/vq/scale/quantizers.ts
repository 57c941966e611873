import type { Key } from '@x/core-gpu'
import { bsq, fsq, lfq, Projected, type Quantizer, simvq, vq } from '@x/vq'
import type { RunSpec } from '../../../result.ts'

/** Size of the vectors. */
export const dim = 32

/** Levels whose product is near 2^bits; up to 2^16 those that the paper recommends. arXiv 2309.15505 */
export const levelsOfBits: Readonly<Record<number, readonly number[]>> = {
  8: [8, 6, 5],
  10: [8, 5, 5, 5],
  12: [7, 5, 5, 5, 5],
  14: [8, 8, 8, 6, 5],
  16: [8, 8, 8, 5, 5, 5],
  18: [8, 8, 8, 8, 8, 8],
}

/** A quantizer of few dimensions between two linear maps, from 32 and back. */
function projected(make: (key: Key) => Quantizer, key: Key): Quantizer {
  const [own, maps] = key.split(2) as [Key, Key]
  return new Projected(make(own), dim, { key: maps })
}

const makers: Record<string, (codebookSize: number, bits: number, key: Key) => Quantizer> = {
  vq: (codebookSize, _, key) => vq({ dim, codebookSize, key }),
  simvq: (codebookSize, _, key) => simvq({ dim, codebookSize, key }),
  fsq: (_, bits, key) => projected(() => fsq({ levels: levelsOfBits[bits]!, normalise: true }), key),
  lfq: (_, bits, key) => projected(() => lfq({ bits }), key),
  bsq: (_, bits, key) => projected(() => bsq({ bits }), key),
}

/**
 * Makes the quantizer of a method for vectors of 32 numbers, everything but its size at the package's defaults.
 * @throws RangeError for an unknown method, or a size that FSQ has no levels for
 */
export function makeQuantizer({ method, params }: Pick<RunSpec, 'method' | 'params'>, key: Key): Quantizer {
  const make = makers[method]
  if (make === undefined) throw new RangeError(`method: unknown "${method}"; known: ${Object.keys(makers).join(', ')}`)
  const codebookSize = Number(params.codebookSize)
  const bits = Math.log2(codebookSize)
  if (levelsOfBits[bits] === undefined) {
    const sizes = Object.keys(levelsOfBits).map((known) => 2 ** Number(known))
    throw new RangeError(`codebookSize: expected one of ${sizes.join(', ')}, got ${codebookSize}`)
  }
  return make(codebookSize, bits, key)
}

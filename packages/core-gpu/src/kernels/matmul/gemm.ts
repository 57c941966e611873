import type { Pack } from '../pack.ts'

/** A matrix in the heap: its address, and the bytes from one row and one column to the next. */
export interface MatrixAt {
  readonly at: number
  readonly row: number
  readonly column: number
}

/** What may follow a product: the address of a bias [n] or 0, and an activation by its number in the pack. */
export interface Epilogue {
  readonly bias: number
  readonly activation: number
  readonly slope: number
}

export const noEpilogue: Epilogue = { bias: 0, activation: 0, slope: 0 }

/** Activations that GEMM applies itself, by the pack's numbers; the others stay with the stock kernel. */
export const gemmActivations: Record<string, number> = { linear: 0, relu: 1, relu6: 2, leakyrelu: 3 }

// Columns of B are packed this many bytes at a time, so that a large B needs no second copy of itself.
const packedBytes = 1 << 24

/** Work that is worth a range of its own, in multiply-adds or moved numbers: some 20 us. */
const rangeWork = 1 << 18

/** How many items of `work` each make a range, in steps of `step`. */
export function grainOf(work: number, step: number): number {
  return Math.max(1, Math.ceil(rangeWork / Math.max(1, work) / step)) * step
}

/**
 * C [m, n] = A [m, k] x B [k, n], then + bias and activation; C is dense.
 *
 * Floor: 2 m n k operations; 4 (m k + k n + m n) bytes read and written once, and B once more into panels.
 * Reached by two threads of an EPYC: 78 % of the processor's largest rate at 1024 rows, 66 % at 512, 16 % at 64.
 */
export function multiply(
  pack: Pack,
  a: MatrixAt,
  b: MatrixAt,
  c: number,
  [m, n, k]: readonly [number, number, number],
  { bias, activation, slope }: Epilogue = noEpilogue,
): void {
  if (m <= 4 && k > 0 && (b.column === 4 || (b.row === 4 && a.column === 4))) {
    const numbers = [a.at, a.row, a.column, b.at, b.row, b.column, c, m, n, k, bias, activation, slope]
    pack.parallel('gemmFewRows', n, grainOf(m * k, 64), 0, ...numbers)
    return
  }
  const columns = Math.max(8, Math.floor(packedBytes / (Math.max(1, k) * 4) / 8) * 8)
  for (let j = 0; j < n; j += columns) {
    const width = Math.min(columns, n - j)
    const panels = packPanels(pack, { ...b, at: b.at + j * b.column }, k, width)
    const epilogue = [bias === 0 ? 0 : bias + j * 4, activation, slope]
    const numbers = [a.at, a.row, a.column, panels, c + j * 4, n * 4, width, k, 0, ...epilogue]
    pack.parallel('gemmRows', m, rowGrain(m, width * k), pack.run.gemmScratch(k), ...numbers)
  }
}

/** B [k, n] in panels of 8 columns in working memory, which lasts until the next use of that. */
export function packPanels(pack: Pack, { at, row, column }: MatrixAt, k: number, n: number): number {
  const count = Math.ceil(n / 8)
  const panels = pack.scratch(count * 8 * k * 4)
  pack.parallel('packPanels', count, grainOf(8 * k, 1), 0, panels, at, row, column, k, n, k)
  return panels
}

/** Rows of a product that make a range: whole blocks of 48 where there are many of them, else about a quarter. */
export function rowGrain(rows: number, work: number): number {
  const step = rows >= 192 ? 48 : Math.ceil(rows / 4 / 6) * 6
  return grainOf(work, step)
}

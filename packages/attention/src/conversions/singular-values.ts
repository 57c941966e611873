/** A matrix as U diag(s) V^T, in float64, row-major. */
export interface SingularValues {
  /** [rows, rank] */
  readonly u: Float64Array
  /** [rank], descending */
  readonly s: Float64Array
  /** [columns, rank] */
  readonly v: Float64Array
  /** the smaller of rows and columns */
  readonly rank: number
}

// A sweep turns every pair of columns once; some ten are enough for any matrix of float64.
const mostSweeps = 60
const accuracy = 1e-14

/**
 * The singular values and vectors of a matrix, by turning pairs of columns until all stand at right angles (M. R. Hestenes,
 * 1958). The time grows with rows x columns x the smaller of both.
 * @param matrix [rows, columns], row-major
 */
export function singularValues(matrix: ArrayLike<number>, rows: number, columns: number): SingularValues {
  if (rows < columns) {
    const turned = Float64Array.from({ length: rows * columns }, (_, at) => matrix[(at % rows) * columns + Math.floor(at / rows)]!) // prettier-ignore
    const { u, s, v, rank } = singularValues(turned, columns, rows)
    return { u: v, s, v: u, rank }
  }
  const a = Array.from({ length: columns }, (_, j) => Float64Array.from({ length: rows }, (_, i) => matrix[i * columns + j]!)) // prettier-ignore
  const v = Array.from({ length: columns }, (_, j) => Float64Array.from({ length: columns }, (_, i) => Number(i === j)))
  for (let sweep = 0; sweep < mostSweeps; sweep++) if (!turnAllPairs(a, v)) break

  const lengths = a.map((column) => Math.sqrt(dot(column, column)))
  const order = lengths.map((_, j) => j).sort((i, j) => lengths[j]! - lengths[i]!)
  const picked = (from: readonly Float64Array[], size: number, scale: (j: number) => number): Float64Array =>
    Float64Array.from({ length: size * columns }, (_, at) => {
      const j = order[at % columns]!
      return from[j]![Math.floor(at / columns)]! * scale(j)
    })
  return {
    u: picked(a, rows, (j) => (lengths[j]! > 0 ? 1 / lengths[j]! : 0)),
    s: Float64Array.from(order, (j) => lengths[j]!),
    v: picked(v, columns, () => 1),
    rank: columns,
  }
}

/** @returns whether any pair was not at right angles yet */
function turnAllPairs(a: readonly Float64Array[], v: readonly Float64Array[]): boolean {
  let turned = false
  for (let i = 0; i < a.length; i++)
    for (let j = i + 1; j < a.length; j++) {
      const [x, y] = [a[i]!, a[j]!]
      const [xx, yy, xy] = [dot(x, x), dot(y, y), dot(x, y)]
      if (Math.abs(xy) <= accuracy * Math.sqrt(xx * yy)) continue
      turned = true
      const ratio = (yy - xx) / (2 * xy)
      const tangent = Math.sign(ratio || 1) / (Math.abs(ratio) + Math.sqrt(1 + ratio * ratio))
      const cosine = 1 / Math.sqrt(1 + tangent * tangent)
      turnPair(x, y, cosine, cosine * tangent)
      turnPair(v[i]!, v[j]!, cosine, cosine * tangent)
    }
  return turned
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!
  return sum
}

function turnPair(x: Float64Array, y: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < x.length; i++) {
    const [a, b] = [x[i]!, y[i]!]
    x[i] = cosine * a - sine * b
    y[i] = sine * a + cosine * b
  }
}

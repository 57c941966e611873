/** Eigenvalues and eigenvectors of a symmetric matrix, in double precision. */
export interface SymmetricEigen {
  /** `[d]`, in no order */
  readonly values: Float64Array
  /** `[d, d]` row-major; column k belongs to value k, and the columns are orthonormal */
  readonly vectors: Float64Array
}

const SWEEPS = 60

/**
 * Diagonalises a symmetric matrix by Jacobi's rotations: slow beyond some hundred rows, exact to rounding.
 * @param matrix `[d, d]` row-major
 * @throws RangeError when it is not square, not finite, or not symmetric
 */
export function symmetricEigen(name: string, matrix: ArrayLike<number>): SymmetricEigen {
  const d = Math.round(Math.sqrt(matrix.length))
  if (d * d !== matrix.length || d === 0)
    throw new RangeError(`${name}: expected a square matrix, got ${matrix.length} numbers`)
  const a = Float64Array.from(matrix)
  requireSymmetric(name, a, d)
  const vectors = new Float64Array(d * d)
  for (let i = 0; i < d; i++) vectors[i * d + i] = 1
  const scale = a.reduce((sum, value) => sum + value * value, 0)
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let off = 0
    for (let p = 0; p < d; p++) for (let q = p + 1; q < d; q++) off += a[p * d + q]! ** 2
    if (off <= 1e-32 * scale) break
    for (let p = 0; p < d; p++) for (let q = p + 1; q < d; q++) rotate(a, vectors, d, p, q)
  }
  return { values: Float64Array.from({ length: d }, (_, i) => a[i * d + i]!), vectors }
}

/** Turns axes p and q so that a[p, q] vanishes. */
function rotate(a: Float64Array, vectors: Float64Array, d: number, p: number, q: number): void {
  const apq = a[p * d + q]!
  if (apq === 0) return
  const theta = (a[q * d + q]! - a[p * d + p]!) / (2 * apq)
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1))
  const c = 1 / Math.hypot(t, 1)
  const s = t * c
  const columns = (m: Float64Array): void => {
    for (let i = 0; i < d; i++) {
      const [x, y] = [m[i * d + p]!, m[i * d + q]!]
      m[i * d + p] = c * x - s * y
      m[i * d + q] = s * x + c * y
    }
  }
  columns(a)
  for (let i = 0; i < d; i++) {
    const [x, y] = [a[p * d + i]!, a[q * d + i]!]
    a[p * d + i] = c * x - s * y
    a[q * d + i] = s * x + c * y
  }
  columns(vectors)
}

function requireSymmetric(name: string, a: Float64Array, d: number): void {
  const greatest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  if (!Number.isFinite(greatest)) throw new RangeError(`${name}: expected finite numbers, got ${greatest}`)
  for (let i = 0; i < d; i++)
    for (let j = 0; j < i; j++)
      if (!(Math.abs(a[i * d + j]! - a[j * d + i]!) <= 1e-6 * greatest))
        throw new RangeError(
          `${name}: expected a symmetric matrix, got ${a[i * d + j]} at [${i}, ${j}] and ${a[j * d + i]} at [${j}, ${i}]`,
        )
}

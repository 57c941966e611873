import { EigenvalueDecomposition, Matrix } from 'ml-matrix'

/** Mean and covariance of some vectors. */
export interface Moments {
  readonly mean: Float64Array
  /** [d, d], the unbiased one */
  readonly covariance: Matrix
}

/**
 * Takes mean and covariance in double precision.
 * @param values vectors one after the other, [n x d]
 * @throws RangeError when there are fewer than two vectors
 */
export function momentsOf(values: ArrayLike<number>, d: number): Moments {
  const n = values.length / d
  if (!Number.isInteger(n) || n < 2) {
    throw new RangeError(`values: expected at least two vectors of ${d} numbers, got ${values.length} numbers`)
  }
  const mean = new Float64Array(d)
  for (let i = 0; i < values.length; i++) mean[i % d]! += values[i]! / n
  const covariance = Matrix.zeros(d, d)
  const centred = new Float64Array(d)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < d; j++) centred[j] = values[i * d + j]! - mean[j]!
    for (let j = 0; j < d; j++) {
      for (let k = 0; k <= j; k++) covariance.set(j, k, covariance.get(j, k) + (centred[j]! * centred[k]!) / (n - 1))
    }
  }
  for (let j = 0; j < d; j++) for (let k = j + 1; k < d; k++) covariance.set(j, k, covariance.get(k, j))
  return { mean, covariance }
}

function eigen(symmetric: Matrix): EigenvalueDecomposition {
  return new EigenvalueDecomposition(symmetric, { assumeSymmetric: true })
}

/** The square roots of eigenvalues, of which those that are 0 may come out a little below. */
function roots(decomposition: EigenvalueDecomposition): number[] {
  return decomposition.realEigenvalues.map((value) => Math.sqrt(Math.max(0, value)))
}

/**
 * The squared Fréchet distance of two normal distributions, |m - n|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2).
 * arXiv 1706.08500
 * @throws RangeError when the vectors differ in size
 */
export function frechetDistance(a: Moments, b: Moments): number {
  if (a.mean.length !== b.mean.length) {
    throw new RangeError(`b: expected vectors of ${a.mean.length} numbers like a, got ${b.mean.length}`)
  }
  const ofMeans = a.mean.reduce((sum, value, i) => sum + (value - b.mean[i]!) ** 2, 0)
  const ofA = eigen(a.covariance)
  const vectors = ofA.eigenvectorMatrix
  const root = vectors.mmul(Matrix.diag(roots(ofA))).mmul(vectors.transpose())
  const product = root.mmul(b.covariance).mmul(root)
  // Symmetric but for rounding, which the solver must not see.
  const shared = roots(eigen(product.add(product.transpose()).mul(0.5)))
  const ofSpreads = a.covariance.trace() + b.covariance.trace() - 2 * shared.reduce((sum, value) => sum + value, 0)
  return ofMeans + Math.max(0, ofSpreads)
}

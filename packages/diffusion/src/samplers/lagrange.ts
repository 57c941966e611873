/**
 * The weights with which values at the nodes give the integral of the polynomial through them.
 * @param nodes distinct
 * @param moments the integrals of 1, u, u^2, ..., one for each node
 */
export function lagrangeWeights(nodes: readonly number[], moments: readonly number[]): number[] {
  return nodes.map((node, i) => {
    // The coefficients of the polynomial that is 1 at this node and 0 at the others, constant first.
    let basis = [1]
    nodes.forEach((other, j) => {
      if (i === j) return
      basis = [0, ...basis].map((up, k) => (up - other * (basis[k] ?? 0)) / (node - other))
    })
    return basis.reduce((sum, coefficient, k) => sum + coefficient * moments[k]!, 0)
  })
}

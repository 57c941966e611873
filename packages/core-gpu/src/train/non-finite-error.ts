/** Training met a loss or a gradient that is NaN or infinite; parameters are as they were before that step. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError'
  /** counted from 0 */
  readonly step: number
  /** where it first went bad: `batch.x`, `parameters.0.weight`, `metrics.kl`, `loss`, `gradients.0.weight`, ... */
  readonly tensor: string

  constructor(step: number, tensor: string) {
    super(`training stopped at step ${step}: ${tensor} is not finite; parameters are as they were before this step`)
    this.step = step
    this.tensor = tensor
  }
}

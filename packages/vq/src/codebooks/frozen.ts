import { stopGradient } from '@x/core-gpu'
import type { Codebook } from './codebook.ts'

/** A codebook that stays as it is: no parameters, no learning, no placing; its state is the codebook's own. */
export function frozen(codebook: Codebook): Codebook {
  return {
    size: codebook.size,
    dim: codebook.dim,
    codes: () => {
      const codes = codebook.codes()
      const fixed = stopGradient(codes)
      codes.dispose()
      return fixed
    },
    parameters: () => ({}),
    state: () => codebook.state(),
    load: (state) => codebook.load(state),
    dispose: () => codebook.dispose(),
  }
}

import type { Guidance } from '../denoiser.ts'

/**
 * Applies guidances from left to right: the first to the denoiser itself, the last around all others.
 *
 * `compose(upsample(...), classifierFree(...))` guides the conditional and the unconditional prediction by upsampling each,
 * then combines them. The two are linear in the denoiser and commute while the weight of the second is the same at all
 * levels and nothing is rescaled; with an interval or a rescale the order tells, since upsampling asks at two levels.
 * Without guidances the denoiser stays as it is.
 */
export function compose<Condition = unknown>(...guidances: readonly Guidance<Condition>[]): Guidance<Condition> {
  return (denoiser) => guidances.reduce((guided, guidance) => guidance(guided), denoiser)
}

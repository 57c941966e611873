import type { Guidance } from '../../denoiser.ts'
import { autoGuidance, type AutoGuidanceOptions } from '../auto-guidance/auto-guidance.ts'
import { type HookedDenoiser, withHooks } from '../network-hooks.ts'

/**
 * Perturbed-attention guidance (arXiv 2403.17377): away from what the network predicts when its self-attentions see only
 * each token itself. It needs no condition and no other network.
 * @param network the denoiser's network, called with `identityAttention`
 * @param options weight 1 is the denoiser alone; the paper's scale s is one less
 * @throws RangeError for a weight that is not finite, or an interval that does not rise
 */
export function perturbedAttention<Condition = unknown>(
  network: HookedDenoiser<Condition>,
  options: AutoGuidanceOptions,
): Guidance<Condition> {
  return autoGuidance(withHooks(network, { identityAttention: true }), options)
}

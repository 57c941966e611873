/**
 * The highest order that a step of a multistep method may have, by its place among the steps.
 * @param lowerOrderFinal whether the last step is of order 1 and the one before of order 2 at most; default: where there are
 * fewer than 15 steps
 */
export function multistepOrder(
  order: number,
  step: number,
  steps: number,
  lowerOrderFinal: boolean = steps < 15,
): number {
  return Math.min(order, step + 1, lowerOrderFinal ? steps - step : order)
}

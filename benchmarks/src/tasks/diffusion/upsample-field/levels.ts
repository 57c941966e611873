/** logSNR, from strong noise to as much noise as signal. */
export const levels: readonly number[] = [-5, -4, -3, -2, -1, 0]

/** The name of a level's metric. */
export function metricOf(level: number): string {
  return `error${String(level).replace('-', 'Minus')}`
}

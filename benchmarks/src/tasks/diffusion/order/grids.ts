/** Numbers of steps, two in an octave. */
export const stepCounts: readonly number[] = Array.from({ length: 13 }, (_, i) => Math.round(8 * 2 ** (i / 2)))
/** Those whose errors are listed. */
export const reportedSteps: readonly number[] = [16, 64, 256]
/** Calls of the denoiser with which samplers are compared where there are few. */
export const fewCalls: readonly number[] = [4, 6, 10]

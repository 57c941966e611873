import type { RunSpec } from '../../result.ts'

type Params = RunSpec['params']

/** A sampler that takes the steps it is told to. */
export interface FixedSampler {
  /** the options it is measured with, the usual ones first */
  readonly variants: readonly Params[]
  /** calls of the denoiser on a grid of so many steps between finite levels */
  readonly callsOf: (steps: number, params: Params) => number
  /** the fewest steps that show it; 1 by default */
  readonly fewest?: number
}

const once = (steps: number): number => steps
const twice = (steps: number): number => 2 * steps
const orders = (...all: readonly number[]): readonly Params[] => all.map((order) => ({ order }))

/** Samplers of the probability flow that go through a given grid, by their short names; AMED must be trained first. */
export const flowSamplers: Readonly<Record<string, FixedSampler>> = {
  ddim: { variants: [{}], callsOf: once },
  deis: { variants: orders(3, 2), callsOf: once },
  dpm2: { variants: [{}], callsOf: twice },
  'dpm-solver-fast': { variants: [{}], callsOf: (steps) => 3 * (steps - 1), fewest: 2 },
  'dpm-solver-multistep': { variants: orders(2, 3), callsOf: once },
  'dpm-solver-singlestep': { variants: orders(2, 3), callsOf: (steps, { order }) => Number(order) * steps },
  euler: { variants: [{}], callsOf: once },
  heun: { variants: [{}], callsOf: twice },
  ipndm: { variants: [{}], callsOf: once },
  lms: { variants: [{}], callsOf: once },
  plms: { variants: [{}], callsOf: (steps) => steps + 1 },
  // Three steps are its warm-up.
  pndm: { variants: [{}], callsOf: (steps) => steps + 9, fewest: 4 },
  'rectified-flow': { variants: [{}], callsOf: once },
  unipc: { variants: orders(2, 3), callsOf: once },
}

/** Samplers that draw noise on their way through a given grid; those for distilled networks are no match for the others. */
const drawingSamplers: Readonly<Record<string, FixedSampler>> = {
  ddpm: { variants: [{}], callsOf: once },
  'dpm-solver-ancestral': { variants: [{}], callsOf: twice },
  'dpm2-ancestral': { variants: [{}], callsOf: twice },
  'euler-ancestral': { variants: [{}], callsOf: once },
  'sa-solver': { variants: [{}], callsOf: once },
  'sde-dpm-solver-multistep': { variants: [{}], callsOf: once },
  'sde-dpm-solver-singlestep': { variants: [{}], callsOf: twice },
}

/** Both. */
export const fixedSamplers: Readonly<Record<string, FixedSampler>> = { ...flowSamplers, ...drawingSamplers }

/** @throws RangeError for an unknown method */
export function fixedSampler(method: string): FixedSampler {
  const found = fixedSamplers[method]
  if (found === undefined)
    throw new RangeError(`method: unknown "${method}"; known: ${Object.keys(fixedSamplers).join(', ')}`)
  return found
}

/** The steps with which a sampler makes exactly so many calls; none where it can't. */
export function stepsFor({ callsOf, fewest = 1 }: FixedSampler, calls: number, params: Params): number | undefined {
  for (let steps = fewest; steps <= calls + 1; steps++) if (callsOf(steps, params) === calls) return steps
  return undefined
}

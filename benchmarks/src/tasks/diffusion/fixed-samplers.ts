import {
  ddim,
  deis,
  dpm2,
  dpmSolverFast,
  dpmSolverMultistep,
  dpmSolverSinglestep,
  euler,
  heun,
  ipndm,
  lms,
  plms,
  pndm,
  rectifiedFlow,
  type Sampler,
  unipc,
} from '@x/diffusion'
import type { RunSpec } from '../../result.ts'

type Params = RunSpec['params']

/** A sampler that takes the steps it is told to. */
export interface FixedSampler {
  /** the options it is measured with beside its usual ones: each is a line of its own */
  readonly variants: readonly Params[]
  /** @param plain without what saves the end of short grids and hides the order */
  readonly make: (params: Params, plain: boolean) => Sampler
  /** calls of the denoiser on a grid of so many steps between finite levels */
  readonly callsOf: (steps: number, params: Params) => number
  /** the fewest steps that it can take; 1 by default */
  readonly fewest?: number
}

const once = (steps: number): number => steps
const twice = (steps: number): number => 2 * steps
const orders = (...all: readonly number[]): readonly Params[] => all.map((order) => ({ order }))
/** The options of a sampler that lowers its order at the end. */
const ending = ({ order }: Params, plain: boolean): { order: number; lowerOrderFinal?: false } => ({
  order: Number(order),
  ...(plain && { lowerOrderFinal: false }),
})

/** Samplers of the probability flow that go through a given grid, by their short names; AMED must be trained first. */
export const fixedSamplers: Readonly<Record<string, FixedSampler>> = {
  ddim: { variants: [{}], make: () => ddim(), callsOf: once },
  deis: { variants: orders(3, 2), make: (params, plain) => deis(ending(params, plain)), callsOf: once },
  dpm2: { variants: [{}], make: () => dpm2(), callsOf: twice },
  'dpm-solver-fast': {
    variants: [{}],
    make: () => dpmSolverFast(),
    callsOf: (steps) => 3 * (steps - 1),
    fewest: 2,
  },
  'dpm-solver-multistep': {
    variants: orders(2, 3),
    make: (params, plain) => dpmSolverMultistep(ending(params, plain)),
    callsOf: once,
  },
  'dpm-solver-singlestep': {
    variants: orders(2, 3),
    make: ({ order }) => dpmSolverSinglestep({ order: Number(order) }),
    callsOf: (steps, { order }) => Number(order) * steps,
  },
  euler: { variants: [{}], make: () => euler(), callsOf: once },
  heun: { variants: [{}], make: () => heun(), callsOf: twice },
  ipndm: { variants: [{}], make: () => ipndm(), callsOf: once },
  lms: { variants: [{}], make: () => lms(), callsOf: once },
  plms: { variants: [{}], make: () => plms(), callsOf: (steps) => steps + 1 },
  pndm: { variants: [{}], make: () => pndm(), callsOf: (steps) => steps + 3 * Math.min(steps, 3) },
  'rectified-flow': { variants: [{}], make: () => rectifiedFlow(), callsOf: once },
  unipc: { variants: orders(2, 3), make: (params, plain) => unipc(ending(params, plain)), callsOf: once },
}

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

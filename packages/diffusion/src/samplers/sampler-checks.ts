import * as tf from '@tensorflow/tfjs-core'
import { key } from '@x/core-gpu'
import { type ConformanceCheck, demand, expectRefusal } from '@x/core-gpu/testing'
import type { Denoiser } from '../denoiser.ts'
import { mixtureDenoiser } from '../golden/mixture.ts'
import type { Grid } from '../grid.ts'
import type { Sampler, SampleOptions, SamplerStep } from '../sampler.ts'
import type { SamplerMethod } from './define-sampler.ts'

/** What a sampler is like, where samplers differ. */
export interface SamplerTraits<Options> {
  /** options to try it with; default: none */
  readonly options?: Options
  /** for each option, values that must be refused by an error that begins with the option's name */
  readonly badOptions?: Readonly<Record<string, readonly unknown[]>>
  /** calls of the denoiser on a grid of four steps between finite levels; undefined where errors decide */
  readonly calls?: number
  /** whether it draws noise */
  readonly draws?: boolean
  /** whether it remembers nothing from step to step, so that two halves of a grid are as good as the whole */
  readonly forgets?: boolean
  /** whether its grids fall */
  readonly falling?: boolean
  /** whether it may start from noise alone; default true, where grids rise */
  readonly fromNoise?: boolean
}

/**
 * What every sampler must do: describe itself, refuse what is wrong by name, go where the grid says, keep nothing between
 * calls, give a sample that does not depend on its batch, stop when told to, and leave no tensor behind, however it ends.
 */
export function samplerChecks<Options extends object>(
  method: SamplerMethod<Options>,
  traits: SamplerTraits<NoInfer<Options>> = {},
): ConformanceCheck[] {
  const { options, badOptions = {}, calls, draws = false, forgets = false, falling = false } = traits
  const fromNoise = traits.fromNoise ?? !falling
  const turn = (grid: Grid): Grid => (falling ? [...grid].toReversed() : grid)
  const grid = turn([-4, -2, 0, 1.5, 3])
  const sampler = (): Sampler => method(options)
  const given = (more: SampleOptions = {}): SampleOptions => (draws ? { key: key(5), ...more } : more)
  const check = (name: string, run: () => Promise<void>): ConformanceCheck => ({ name: `${method.id} ${name}`, run })
  const start = (batch = 6): tf.Tensor => key(1).normal([batch, 2])

  /** Runs one sampling, and gives back its numbers. */
  const sampled = async (x: tf.Tensor, more: SampleOptions = {}, levels = grid): Promise<number[]> => {
    const end = await sampler()(mixtureDenoiser(), x, levels, given(more))
    const values = Array.from(await end.data())
    end.dispose()
    return values
  }

  return [
    check('describes itself', async () => {
      const { id, title, summary, paper } = method
      demand(/^diffusion\/[a-z0-9-]+$/.test(id), `id: expected diffusion/name, got "${id}"`)
      demand(title.length > 0 && summary.endsWith('.'), 'title and summary: expected a name and a sentence')
      demand(/^\d{4}\.\d{4,5}$/.test(paper.arxiv), `paper.arxiv: expected an arXiv id, got "${paper.arxiv}"`)
      demand(paper.year === 2000 + Number(paper.arxiv.slice(0, 2)), `paper.year: ${paper.year} is not that of the id`)
    }),
    check('refuses bad options by name', async () => {
      for (const [name, values] of Object.entries(badOptions))
        for (const value of values)
          expectRefusal(name, () => method({ ...options, [name]: value } as unknown as Options))
      expectRefusal('noSuchOption', () => method({ ...options, noSuchOption: 1 } as unknown as Options))
    }),
    check('refuses bad arguments by name', async () => {
      const x = start()
      const whole = tf.zeros([6, 2], 'int32')
      const before = tf.memory().numTensors
      const denoiser = mixtureDenoiser()
      const wrong: Denoiser = () => tf.zeros([1, 2])
      const refused = async (name: string, run: () => Promise<tf.Tensor>): Promise<void> => {
        const error: unknown = await run().then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        expectRefusal(name, () => {
          if (error) throw error as Error
        })
      }
      for (const levels of [[], [0], turn([1, 0]), [0, 0], [0, NaN]])
        await refused('grid', () => sampler()(denoiser, x, levels, given()))
      if (!fromNoise && !falling) await refused('grid', () => sampler()(denoiser, x, [-Infinity, 0], given()))
      await refused('x', () => sampler()(denoiser, [[1, 2]] as unknown as tf.Tensor, grid, given()))
      await refused('x', () => sampler()(denoiser, whole, grid, given()))
      await refused('denoiser', () => sampler()(null as unknown as Denoiser, x, grid, given()))
      await refused('denoiser', () => sampler()(wrong, x, grid, given()))
      await refused('firstSample', () => sampler()(denoiser, x, grid, given({ firstSample: -1 })))
      if (draws) await refused('key', () => sampler()(denoiser, x, grid))
      demand(tf.memory().numTensors === before, 'a refused call left tensors behind')
      tf.dispose([x, whole])
    }),
    check('reports its steps, and ends where the grid does', async () => {
      const x = start()
      const steps: Omit<SamplerStep, 'x' | 'denoised'>[] = []
      let last: number[] = []
      const end = await sampled(x, {
        onStep: async ({ x: at, denoised, ...rest }) => {
          steps.push(rest)
          last = Array.from(await at.data())
          demand(tf.util.arraysEqual(denoised.shape, x.shape), 'denoised has another shape')
        },
      })
      demand(JSON.stringify(end) === JSON.stringify(last), 'the result is not that of the last step')
      demand(steps[0]!.from === grid[0] && steps.at(-1)!.to === grid.at(-1), 'the steps are not from end to end')
      steps.forEach(({ from, steps: all }, i) => {
        demand(i === 0 || from === steps[i - 1]!.to, 'a step begins where none ended')
        demand(all === 4, `expected 4 steps, got ${all}`)
      })
      for (const level of grid.slice(1))
        demand(
          steps.some(({ to }) => to === level),
          `level ${level} was left out`,
        )
      x.dispose()
    }),
    check('calls the denoiser as often as it says', async () => {
      if (calls === undefined) return
      const x = start()
      let count = 0
      const exact = mixtureDenoiser()
      const counting: Denoiser = (at, level, condition) => {
        count++
        demand(condition === 'a condition', `the condition arrived as ${String(condition)}`)
        return exact(at, level)
      }
      const end = await sampler()(counting, x, grid, given({ condition: 'a condition' }))
      demand(count === calls, `expected ${calls} calls, got ${count}`)
      tf.dispose([x, end])
    }),
    check('is determined by its arguments, and leaves x alone', async () => {
      const x = start()
      const before = JSON.stringify(Array.from(await x.data()))
      const [first, second] = [await sampled(x), await sampled(x)]
      demand(JSON.stringify(first) === JSON.stringify(second), 'two runs differ')
      demand(JSON.stringify(Array.from(await x.data())) === before, 'x was changed')
      x.dispose()
    }),
    check('gives a sample that does not depend on its batch', async () => {
      if (calls === undefined) return
      const x = start()
      const whole = await sampled(x)
      const tail = tf.slice(x, [4, 0], [2, 2])
      const part = await sampled(tail, { firstSample: 4 })
      part.forEach((value, i) => near(value, whole[8 + i]!, 1e-5, 'a sample of a smaller batch'))
      tf.dispose([x, tail])
    }),
    check('does not disturb another sampling under way', async () => {
      const [x, y] = [start(), key(2).normal([3, 2])]
      const alone = [await sampled(x), await sampled(y)]
      const shared = sampler()
      const onStep = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))
      const ends = await Promise.all([x, y].map((at) => shared(mixtureDenoiser(), at, grid, given({ onStep }))))
      for (const [i, end] of ends.entries())
        demand(
          JSON.stringify(Array.from(await end.data())) === JSON.stringify(alone[i]),
          'samplings disturb each other',
        )
      tf.dispose([x, y, ...ends])
    }),
    check('goes in two halves as in one', async () => {
      if (!forgets) return
      const x = start()
      const whole = await sampled(x)
      const half = await sampler()(mixtureDenoiser(), x, grid.slice(0, 3), given())
      const rest = await sampled(half, {}, grid.slice(2))
      rest.forEach((value, i) => near(value, whole[i]!, 1e-5, 'a sample in two halves'))
      tf.dispose([x, half])
    }),
    check('goes between infinite levels', async () => {
      const levels = turn([...(fromNoise ? [-Infinity] : [-6]), -2, 0, 2, Infinity])
      const x = start()
      let denoised: number[] = []
      const end = await sampled(
        x,
        {
          onStep: async (step) => {
            denoised = Array.from(await step.denoised.data())
          },
        },
        levels,
      )
      for (const value of end) demand(Number.isFinite(value), `expected finite samples, got ${value}`)
      // At clean, x is the prediction, but for methods whose last slope is extrapolated.
      if (!falling) end.forEach((value, i) => near(value, denoised[i]!, 2, 'the end, from what was predicted'))
      const short = await sampled(x, {}, falling ? [Infinity, 0] : [fromNoise ? -Infinity : -6, Infinity])
      for (const value of short) demand(Number.isFinite(value), `expected finite samples, got ${value}`)
      x.dispose()
    }),
    check('leaves no tensor behind, however it ends', async () => {
      const x = start()
      const before = tf.memory().numTensors
      const none = (how: string): void => {
        const left = tf.memory().numTensors - before
        demand(left === 0, `${left} tensors stayed behind after ${how}`)
      }
      await sampled(x)
      none('a sampling')
      const exact = mixtureDenoiser()
      for (let fails = 1; fails <= (calls ?? 9); fails++) {
        let count = 0
        const failing: Denoiser = (at, level) => {
          if (++count === fails) throw new Error('out of order')
          return exact(at, level)
        }
        await expectReason('out of order', sampler()(failing, x, grid, given()))
        none(`call ${fails} of the denoiser threw`)
      }
      for (let fails = 0; fails < 4; fails++) {
        const onStep = ({ step }: SamplerStep): void => {
          if (step === fails) throw new Error('no more')
        }
        await expectReason('no more', sampler()(exact, x, grid, given({ onStep })))
        none('onStep threw')
      }
      await expectReason(
        'too late',
        sampler()(exact, x, grid, given({ signal: AbortSignal.abort(new Error('too late')) })),
      )
      none('a signal aborted before')
      for (let stops = 0; stops < 3; stops++) {
        const controller = new AbortController()
        let last = -1
        const onStep = ({ step }: SamplerStep): void => {
          last = step
          if (step === stops) controller.abort(new Error('enough'))
        }
        await expectReason('enough', sampler()(exact, x, grid, given({ onStep, signal: controller.signal })))
        demand(last === stops, `expected to stop after step ${stops}, got to ${last}`)
        none('a signal aborted')
      }
      x.dispose()
    }),
  ]
}

async function expectReason(message: string, run: Promise<tf.Tensor>): Promise<void> {
  const error: unknown = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  demand(error instanceof Error && error.message === message, `expected "${message}", got ${String(error)}`)
}

function near(got: number, expected: number, tolerance: number, what: string): void {
  demand(Math.abs(got - expected) <= tolerance * (1 + Math.abs(expected)), `${what} is ${got}, expected ${expected}`)
}

import type * as tf from '@tensorflow/tfjs-core'
import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { exponentialStep, inForm, phi, type Predicted } from '../exponential.ts'
import { lagrangeWeights } from '../lagrange.ts'
import { multistepOrder } from '../multistep-order.ts'
import { firstOrder, stepSize } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface UnipcOptions {
  /** of the predictor, 1 to 3; the corrector adds one; default 2 */
  readonly order?: number
  /** B(h), by which the weights are scaled: `bh1` is h, `bh2` is e^h - 1; default `bh2` */
  readonly variant?: 'bh1' | 'bh2'
  /** what is taken for smooth; default `denoised` */
  readonly predicted?: Predicted
  /** whether the corrector is used; default true */
  readonly corrector?: boolean
  /** whether the last steps are of lower order; default true */
  readonly lowerOrderFinal?: boolean
}

/**
 * UniPC: a predictor, and a corrector that costs nothing, since it uses the call that the next step needs anyway. One call a
 * step.
 *
 * Steps from noise alone and to clean are DDIM's; the last step is not corrected. arXiv 2302.04867
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const unipc: SamplerMethod<UnipcOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/unipc',
  title: 'UniPC',
  summary: 'Predicts a step, then corrects it with the call that the next step needs anyway: one call a step.',
  paper: {
    title: 'UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models',
    arxiv: '2302.04867',
    year: 2023,
  },
  options: v.object({
    order: v.optional(v.pipe(integer(1), v.maxValue(3)), 2),
    variant: v.optional(v.picklist(['bh1', 'bh2']), 'bh2'),
    predicted: v.optional(v.picklist(['denoised', 'noise']), 'denoised'),
    corrector: v.optional(v.boolean(), true),
    lowerOrderFinal: v.optional(v.boolean(), true),
  }),
  create: ({ order, variant, predicted, corrector, lowerOrderFinal }) =>
    stepwise(({ denoise, grid }) => {
      const steps = grid.length - 1
      const used = (predictions: readonly tf.Tensor[], step: number): readonly tf.Tensor[] =>
        predictions.slice(0, multistepOrder(order, step, steps, lowerOrderFinal))

      /** Takes x over a step by the predictions made before it, newest first; corrected where there is one from its end. */
      const advance = (
        x: tf.Tensor,
        step: number,
        [newest, ...older]: readonly tf.Tensor[],
        end?: tf.Tensor,
      ): tf.Tensor => {
        const [from, to] = [grid[step]!, grid[step + 1]!]
        const { carry, scale, h } = exponentialStep(predicted, from, to)
        // Where predictions were made, in steps from `from`.
        const places = older.map((_, i) => stepSize(from, grid[step - 1 - i]!) / stepSize(from, to))
        const others = [...older]
        if (end) {
          places.push(1)
          others.push(end)
        }
        const size = variant === 'bh1' ? h : Math.expm1(h)
        const weights = unipcWeights(h, size, places).map((weight, i) => (size * weight) / places[i]!)
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        return combine(
          [carry, x],
          [-scale * (Math.expm1(h) - total), newest!],
          ...others.map((prediction, i) => [-scale * weights[i]!, prediction] as const),
        )
      }

      return (x, { step, from, to }, [left, ...earlier]) => {
        const denoised = denoise(x, from)
        if (from === -Infinity) return { x: firstOrder(x, denoised, from, to), denoised }
        const prediction = inForm(predicted, x, denoised, from)
        if (corrector && left) x = advance(left, step - 1, used(earlier, step - 1), prediction)
        if (to === Infinity) return { x: firstOrder(x, denoised, from, to), denoised }
        const predictions = [prediction, ...earlier].slice(0, order)
        return { x: advance(x, step, used(predictions, step)), denoised, memory: [x, ...predictions] }
      }
    }),
})

/**
 * What the differences to the newest prediction count for.
 * @param size B(h)
 * @param places where the others were made, in steps from the newest
 */
function unipcWeights(h: number, size: number, places: readonly number[]): number[] {
  if (places.length === 1) return [0.5]
  let factorial = 1
  const moments = places.map((_, i) => (h * phi(i + 2, h) * (factorial *= i + 1)) / size)
  return lagrangeWeights(places, moments)
}

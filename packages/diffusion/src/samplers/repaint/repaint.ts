import * as tf from '@tensorflow/tfjs-core'
import { describeShape, integer, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, type LogSnr, sigmaOf } from '../../noise-level.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { firstOrder } from '../probability-flow.ts'
import { levelBelow, noiseUp, withNoise } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface RepaintOptions {
  /** the clean sample where it is known, `[B, ...]` or `[1, ...]`; lives until the sampling ends */
  readonly known: tf.Tensor
  /** 1 where it is known and 0 where not; may have dimensions of 1 that stand for all; lives until the sampling ends */
  readonly mask: tf.Tensor
  /** how many steps are noised back at once; default 10 */
  readonly jumpLength?: number
  /** how often the steps of a jump are made; 1 for no jumps; default 10 */
  readonly repeats?: number
  /** from 0, DDIM, to 1, DDPM; default 1 */
  readonly eta?: number
}

/**
 * RePaint: fills in what is not known. The known part is noised to each level; every so often the whole is noised back, so
 * that both parts come to agree.
 *
 * Stretches of `jumpLength` steps are counted from the end, and each but the first is made `repeats` times; all that belongs
 * to the step which ends a stretch, and nothing stops it halfway. Samples need a key. arXiv 2201.09865
 * @throws TypeError or RangeError naming the option that is wrong
 * @throws RangeError on use, for a known part or a mask that does not go with x
 */
export const repaint: SamplerMethod<RepaintOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/repaint',
  title: 'RePaint',
  summary: 'Fills in what is not known, going back and forth until it agrees with what is.',
  paper: {
    title: 'RePaint: Inpainting using Denoising Diffusion Probabilistic Models',
    arxiv: '2201.09865',
    year: 2022,
  },
  options: v.object({
    known: tensorOption(),
    mask: tensorOption(),
    jumpLength: v.optional(integer(1), 10),
    repeats: v.optional(integer(1), 10),
    eta: v.optional(numberFrom(0, 1), 1),
  }),
  create: ({ known, mask, jumpLength, repeats, eta }) =>
    stepwise(
      ({ denoise, noise, grid }) => {
        const steps = grid.length - 1
        return (x, { step }) => {
          requireFits('known', known, x)
          requireFits('mask', mask, x)
          let draws = 0
          const fresh = (): tf.Tensor => noise(step, draws++)
          const given = x
          let denoised = x
          // A step with its jumps may be a hundred: what none needs any more is not kept until its end.
          const letGo = (tensor: tf.Tensor): void => {
            if (tensor !== given && tensor !== x) tensor.dispose()
          }
          const forward = (from: LogSnr, to: LogSnr): void => {
            const [before, predictedBefore] = [x, denoised]
            ;[x, denoised] = tf.tidy(() => {
              const predicted = denoise(x, from)
              const below = levelBelow(eta, from, to)
              const unknown = noiseUp(firstOrder(x, predicted, from, below), below, to, fresh)
              const noised = withNoise([[alphaOf(to), tf.broadcastTo(known, x.shape)]], sigmaOf(to), fresh)
              return [tf.add(unknown, tf.mul(mask, tf.sub(noised, unknown))), predicted] as [tf.Tensor, tf.Tensor]
            })
            letGo(before)
            if (predictedBefore !== before) letGo(predictedBefore)
          }
          forward(grid[step]!, grid[step + 1]!)
          const start = step + 1 - jumpLength
          if ((steps - step - 1) % jumpLength === 0 && start > 0)
            for (let i = 1; i < repeats; i++) {
              const before = x
              x = noiseUp(x, grid[step + 1]!, grid[start]!, fresh)
              letGo(before)
              for (let j = start; j <= step; j++) forward(grid[j]!, grid[j + 1]!)
            }
          return { x, denoised }
        }
      },
      { draws: true },
    ),
})

function tensorOption(): v.GenericSchema<tf.Tensor> {
  return v.custom<tf.Tensor>((value) => value instanceof tf.Tensor, 'a tensor')
}

/** @throws RangeError unless the tensor's dimensions are those of x, or 1 */
function requireFits(name: string, { shape }: tf.Tensor, x: tf.Tensor): void {
  if (shape.length !== x.rank || shape.some((size, i) => size !== 1 && size !== x.shape[i]))
    throw new RangeError(
      `${name}: expected dimensions of 1 or those of x, ${describeShape(x.shape)}, got ${describeShape(shape)}`,
    )
}

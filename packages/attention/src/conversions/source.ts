import { describeValue, Linear } from '@x/core-gpu'
import { GroupedProjection } from '../projections/grouped-projection.ts'
import { SoftmaxAttention } from '../softmax-attention.ts'

/** An attention with keys and values of its own. */
export type GroupedSource = SoftmaxAttention<GroupedProjection>

/** @throws TypeError unless the source is MHA, GQA or MQA */
export function requireGrouped(source: unknown): asserts source is GroupedSource {
  if (!(source instanceof SoftmaxAttention) || !(source.projection instanceof GroupedProjection))
    throw new TypeError(`source: expected an attention of mha, gqa or mqa, got ${describeValue(source)}`)
}

/**
 * Refuses what an attention over latents has no place for.
 * @throws TypeError naming the option of the source
 */
export function requireLinear({ projection, positions }: GroupedSource): void {
  const { q, k, qNorm, mix } = projection
  const wrong = [
    [positions.rotate !== undefined, 'positions that turn nothing, since latents of all heads cannot turn'],
    [!(q instanceof Linear), 'queries of full rank'],
    [k.bias !== null, 'no bias'],
    [qNorm !== null, 'no qkNorm'],
    [mix !== null, 'no valueResidual'],
  ] as const
  const first = wrong.find(([isWrong]) => isWrong)
  if (first) throw new TypeError(`source: expected ${first[1]}`)
}

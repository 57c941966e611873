import * as tf from '@tensorflow/tfjs-core'
import { canReadSync, requireSameEntries } from '@x/core-gpu'
import type { Quantizer } from '../quantizer.ts'
import { entriesOf } from './entries.ts'
import type { Entry } from './entry.ts'

export interface ToPyTorchOptions {
  /**
   * writes the bias of a SimVQ's map, as `code_transform.bias`: PyTorch's `SimVQ` has one only where it was made with
   * `codebook_transform = nn.Linear(...)`; default false, where a bias that is not 0 is refused
   */
  readonly transformBias?: boolean
}

/**
 * Loads a state dict of vector-quantize-pytorch (1.32) into a quantizer made alike: `VectorQuantize`, `SimVQ`, `FSQ`,
 * `ResidualVQ`, `ResidualSimVQ`, `ResidualFSQ` and `GroupedResidualVQ`, also `Projected`.
 *
 * A state dict has no options: levels, metric, heads and the like have to be given to both sides. A SimVQ with a bias may be
 * loaded from one without, its bias is then 0. Layers that share a codebook may be named once or each. PyTorch counts the
 * choices of averaged codes once; `DeadCodes` counts for itself, and takes that count over.
 * @param state as `loadSafetensors` gives it; stays the caller's
 * @throws RangeError for a missing, unknown or wrongly shaped entry, or one whose value does not suit the quantizer, naming it
 * @throws TypeError for a quantizer with a part that has no counterpart there, naming it
 */
export function fromPyTorch(quantizer: Quantizer, state: Record<string, tf.Tensor>): void {
  tf.tidy(() => {
    const entries = entriesOf(quantizer)
    const expected = entries.filter(({ name, optional }) => !optional || name in state)
    requireSameEntries(Object.fromEntries(expected.map((entry) => [entry.name, entry.write()])), state)
    for (const { name, sameAs } of expected) if (sameAs !== undefined) requireEqual(name, sameAs, state)
    const own = Object.fromEntries(entries.flatMap((entry) => Object.entries(entry.read(state[entry.name], state))))
    // What several places share has a name for each of them in the own state, and one value.
    const current = Object.entries(quantizer.state())
    const read = new Map(current.flatMap(([name, tensor]) => (own[name] ? [[tensor, own[name]]] : [])))
    quantizer.load(Object.fromEntries(current.map(([name, tensor]) => [name, read.get(tensor) ?? tensor])))
  })
}

/**
 * Writes a quantizer's state under the names and in the shapes of vector-quantize-pytorch (1.32), for `saveSafetensors` here
 * and `load_state_dict(load_file(...))` there, into a module made alike; see `fromPyTorch`.
 *
 * Statistics of a `RunningAffineCodebook` are a part of PyTorch's state only after a first forward pass.
 * @returns new tensors, the caller's to dispose
 * @throws TypeError for a quantizer with a part that has no counterpart there, naming it
 * @throws RangeError for the bias of a SimVQ's map, unless it is 0 or asked for
 */
export function toPyTorch(quantizer: Quantizer, options: ToPyTorchOptions = {}): Record<string, tf.Tensor> {
  return tf.tidy(() => {
    const written = entriesOf(quantizer).map((entry): [Entry, tf.Tensor] => [entry, entry.write()])
    const kept = written.filter(([{ name, mapBias }, value]) => {
      if (!mapBias || options.transformBias) return true
      if (canReadSync() && value.dataSync().every((number) => number === 0)) return false
      throw new RangeError(
        `quantizer: SimVQ in PyTorch has no bias, this one has ("${name}"); make it with \`bias: false\`, or write the ` +
          'bias by `transformBias: true` for a SimVQ made with `codebook_transform = nn.Linear(...)`',
      )
    })
    return Object.fromEntries(kept.map(([{ name }, value]) => [name, value]))
  })
}

/** Shared tensors have one value; where tensors can be read only later, the first is believed. */
function requireEqual(name: string, first: string, state: Record<string, tf.Tensor>): void {
  if (!canReadSync()) return
  const [a, b] = [state[first]!, state[name]!].map((tensor) => tensor.dataSync())
  if (!tf.util.arraysEqual(a!, b!))
    throw new RangeError(`state: entry "${name}" differs from "${first}", but these layers share a codebook`)
}

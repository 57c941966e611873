import * as tf from '@tensorflow/tfjs-core'
import { clipByGlobalNorm, type Optimizer } from '@x/core-gpu'

/** An optimizer for each part of a module, by the name of its field. */
export class PartOptimizer implements Optimizer {
  readonly #parts: Readonly<Record<string, Optimizer>>
  readonly #clip: number | undefined

  /** @param clip greatest norm of a part's gradients, taken as one vector; default: none */
  constructor(parts: Readonly<Record<string, Optimizer>>, clip?: number) {
    this.#parts = parts
    this.#clip = clip
  }

  /** A part without gradients rests: its optimizer counts no step. */
  step(parameters: Record<string, tf.Variable>, gradients: Record<string, tf.Tensor>): void {
    for (const [part, optimizer] of Object.entries(this.#parts)) {
      const own = under(part, gradients)
      if (Object.keys(own).length === 0) continue
      if (this.#clip === undefined) optimizer.step(under(part, parameters), own)
      else {
        const { gradients: clipped, norm } = clipByGlobalNorm(own, this.#clip)
        optimizer.step(under(part, parameters), clipped)
        tf.dispose([clipped, norm])
      }
    }
  }

  state(): Record<string, tf.Tensor> {
    const all = Object.entries(this.#parts).map(([part, optimizer]) => prefixed(part, optimizer.state()))
    return Object.assign({}, ...all) as Record<string, tf.Tensor>
  }

  load(state: Record<string, tf.Tensor>): void {
    const parts = Object.keys(this.#parts)
    for (const name of Object.keys(state))
      if (!parts.some((part) => name.startsWith(`${part}.`)))
        throw new RangeError(`state: unknown entry "${name}"; known are those of ${parts.join(', ')}`)
    for (const [part, optimizer] of Object.entries(this.#parts)) optimizer.load(under(part, state))
  }

  dispose(): void {
    for (const optimizer of Object.values(this.#parts)) optimizer.dispose()
  }
}

function prefixed<T>(part: string, entries: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).map(([name, entry]) => [`${part}.${name}`, entry]))
}

function under<T>(part: string, entries: Record<string, T>): Record<string, T> {
  const inside = Object.entries(entries).filter(([name]) => name.startsWith(`${part}.`))
  return Object.fromEntries(inside.map(([name, entry]) => [name.slice(part.length + 1), entry]))
}

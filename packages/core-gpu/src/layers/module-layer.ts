import * as tf from '@tensorflow/tfjs-core'
import { layers, LayerVariable } from '@tensorflow/tfjs-layers'
import type { Module } from '../module/module.ts'

/**
 * A `tf.layers` layer around a module: the module's tensors are the layer's weights, so that `model.fit` trains them,
 * `model.save` writes them, and loading finds them by name.
 */
export abstract class ModuleLayer<M extends Module> extends layers.Layer {
  #module: M | undefined
  // What calls since the last step of training add to the objective.
  readonly #losses: tf.Scalar[] = []

  /** Makes the module for inputs of a shape, in which unknown sizes are null. */
  protected abstract make(inputShape: readonly (number | null)[]): M

  /** The module around which the layer is. @throws Error before the layer knows the shape of its input */
  get module(): M {
    if (this.#module === undefined) throw new Error(`${this.name}: the layer must be part of a model first`)
    return this.#module
  }

  /** @throws RangeError for more than one input */
  override build(inputShape: (number | null)[] | (number | null)[][]): void {
    if (Array.isArray(inputShape[0])) throw new RangeError(`${this.name}: expected one input, got ${inputShape.length}`)
    const module = this.make(inputShape as (number | null)[])
    this.#module = module
    const parameters = new Set<tf.Tensor>(Object.values(module.parameters()))
    const weights = Object.entries(module.state()).map(
      ([name, tensor]) => new ModuleVariable(tensor as tf.Variable, name, parameters.has(tensor)),
    )
    this.trainableWeights = weights.filter(({ trainable }) => trainable)
    this.nonTrainableWeights = weights.filter(({ trainable }) => !trainable)
    this.addLoss(() => this.#takeLosses())
    super.build(inputShape)
  }

  /** Adds to the objective of the step that is being computed; the tensor belongs to the step's scope. */
  protected addToObjective(loss: tf.Scalar): void {
    this.#losses.push(loss)
  }

  #takeLosses(): tf.Scalar {
    // A call outside of training may have left one that its scope has disposed.
    const losses = this.#losses.splice(0).filter((loss) => !loss.isDisposed)
    return losses.reduce<tf.Scalar>((sum, loss) => tf.add(sum, loss), tf.scalar(0))
  }
}

/** A module's variable as a layer's weight: the same one, not a copy. */
class ModuleVariable extends LayerVariable {
  constructor(shared: tf.Variable, name: string, trainable: boolean) {
    super(shared, shared.dtype, name, trainable)
    this.val.dispose()
    Object.assign(this, { val: shared })
  }
}

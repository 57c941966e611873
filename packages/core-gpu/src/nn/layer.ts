import type * as tf from '@tensorflow/tfjs-core'
import type { Module } from '../module/module.ts'
import type { Key } from '../random/key.ts'

/** What a forward pass needs beside its input. */
export interface ForwardContext {
  /** whether layers behave as in training (dropout, batch statistics); default false */
  readonly training?: boolean
  /** where layers that draw (dropout) take their numbers from */
  readonly key?: Key
}

/** A module that maps one tensor to another; the result is always a tensor of its own, to be disposed by the caller. */
export interface Layer extends Module {
  forward(x: tf.Tensor, context?: ForwardContext): tf.Tensor
}

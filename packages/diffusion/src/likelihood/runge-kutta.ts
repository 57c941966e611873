import * as tf from '@tensorflow/tfjs-core'

/** Tensors that are integrated together. */
export type State = readonly tf.Tensor[]

/** d state / d t, tensors of the caller's. */
export type Derivative = (state: State, t: number) => State

/** An explicit Runge-Kutta method: where its stages lie, what they are made of, and how they add up. */
export interface Tableau {
  readonly nodes: readonly number[]
  readonly stages: readonly (readonly number[])[]
  readonly weights: readonly number[]
  /** weights of the embedded method subtracted from `weights`; undefined without one */
  readonly error?: readonly number[]
  /** of the step that is taken */
  readonly order: number
}

export const heun: Tableau = { nodes: [0, 1], stages: [[], [1]], weights: [1 / 2, 1 / 2], order: 2 }

export const rk4: Tableau = {
  nodes: [0, 1 / 2, 1 / 2, 1],
  stages: [[], [1 / 2], [0, 1 / 2], [0, 0, 1]],
  weights: [1 / 6, 1 / 3, 1 / 3, 1 / 6],
  order: 4,
}

/** Dormand and Prince's fifth order with an embedded fourth. */
export const dormandPrince: Tableau = {
  nodes: [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1],
  stages: [
    [],
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
  ],
  weights: [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0],
  error: [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40],
  order: 5,
}

/** What a step gives; all of it is the caller's to dispose. */
export interface Stepped {
  readonly state: State
  /** how far the embedded method is off, of the shapes of the state; empty without one */
  readonly error: State
}

/** One step of a method from t over h, which may be negative. */
export function step(tableau: Tableau, derivative: Derivative, state: State, t: number, h: number): Stepped {
  return tf.tidy(() => {
    const slopes: State[] = []
    tableau.nodes.forEach((node, i) => {
      slopes.push(derivative(sum(state, slopes, tableau.stages[i]!, h), t + node * h))
    })
    const none = state.map((tensor) => tf.zerosLike(tensor))
    const error = tableau.error ? sum(none, slopes, tableau.error, h) : []
    return { state: sum(state, slopes, tableau.weights, h), error } as unknown as tf.TensorContainer
  }) as unknown as Stepped
}

/** `start + h (c_0 k_0 + c_1 k_1 + ...)`, tensors of its own even where nothing is added. */
function sum(start: State, slopes: readonly State[], coefficients: readonly number[], h: number): State {
  return start.map((tensor, i) =>
    coefficients.reduce<tf.Tensor>(
      (total, c, k) => (c === 0 ? total : tf.add(total, tf.mul(h * c, slopes[k]![i]!))),
      tf.clone(tensor),
    ),
  )
}

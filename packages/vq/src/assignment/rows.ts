import * as tf from '@tensorflow/tfjs-core'

/** Scores in a block: 2 MiB of float32, of which a backward pass holds some twenty at a time. */
const CELLS = 2 ** 19

/** Something of vectors `[n, d]`, codes `[K, d]` and constants, of which each has n rows. */
export type RowFunction = (z: tf.Tensor2D, codes: tf.Tensor2D, ...constants: tf.Tensor[]) => tf.Tensor

/** The blocks of rows that `n` vectors are taken in: `[from, size]`. */
export function rowBlocks(n: number, codes: number, cells: number = CELLS): [number, number][] {
  const size = Math.max(1, Math.floor(cells / codes))
  return Array.from({ length: Math.ceil(n / size) }, (_, i) => [i * size, Math.min(size, n - i * size)])
}

export interface OverRowsOptions {
  /** each `[N, ...]`, without gradient */
  readonly constants?: readonly tf.Tensor[]
  /** whether blocks stand below one another or add up; default `concat` */
  readonly combine?: 'concat' | 'sum'
  /** the value, where it is known more cheaply than by `f` */
  readonly value?: () => tf.Tensor
  /** scores in a block; default 2^19 */
  readonly cells?: number
}

/**
 * Evaluates what needs every score between vectors and codes, and its gradient, block by block of rows: at no time are
 * a block's scores held, where it would be N x K of them. The backward pass evaluates each block again.
 * @param f any differentiable function of a block; for `concat` its result has a row per vector
 * @param z `[N, d]`
 * @param codes `[K, d]`
 */
export function overRows(f: RowFunction, z: tf.Tensor2D, codes: tf.Tensor2D, options: OverRowsOptions = {}): tf.Tensor {
  const { constants = [], combine = 'concat', value, cells } = options
  const blocks = rowBlocks(z.shape[0], codes.shape[0], cells)
  const cut = (x: tf.Tensor, [from, size]: [number, number]): tf.Tensor => tf.slice(x, from, size)
  const forward = (rows: tf.Tensor2D, book: tf.Tensor2D, fixed: readonly tf.Tensor[]): tf.Tensor => {
    const parts = blocks.map((block) =>
      tf.tidy(() => f(cut(rows, block) as tf.Tensor2D, book, ...fixed.map((x) => cut(x, block)))),
    )
    return combine === 'concat' ? tf.concat(parts) : tf.addN(parts)
  }
  const apply = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc
    const [rows, book] = args as [tf.Tensor2D, tf.Tensor2D]
    save([rows, book, ...constants])
    return {
      value: value ? value() : forward(rows, book, constants),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [x, e, ...fixed] = saved as [tf.Tensor2D, tf.Tensor2D, ...tf.Tensor[]]
        const dz: tf.Tensor[] = []
        let dcodes: tf.Tensor = tf.zerosLike(e)
        for (const block of blocks) {
          const [dRows, dBook] = tf.tidy(() => {
            const inputs = [cut(x, block), tf.clone(e)] as [tf.Tensor2D, tf.Tensor2D]
            const held = fixed.map((constant) => cut(constant, block))
            const at = combine === 'concat' ? cut(dy, block) : dy
            const [a, b] = pullBack(() => f(...inputs, ...held), inputs, at)
            return [a, tf.add(dcodes, b)] as [tf.Tensor, tf.Tensor]
          })
          dcodes.dispose()
          dcodes = dBook
          dz.push(dRows)
        }
        return [tf.concat(dz), dcodes]
      },
    }
  })
  return apply(z, codes)
}

/** Evaluates what has no gradient without the tape, which would keep every intermediate result until the backward pass. */
export function untaped<T extends tf.Tensor>(f: () => T): T {
  return tf.customGrad(() => ({ value: tf.tidy(f), gradFunc: () => [] }))() as T
}

/** The gradients of `f` at its inputs for the gradient `dy` at its value, while another backward pass is under way. */
function pullBack(f: () => tf.Tensor, inputs: [tf.Tensor, tf.Tensor], dy: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const { state } = tf.engine()
  // The engine clears its one tape after a backward pass, this inner one too.
  const tape = state.activeTape
  try {
    const { grads } = tf.engine().gradients(f, inputs, dy, true)
    return inputs.map((input, i) => grads[i] ?? tf.zerosLike(input)) as [tf.Tensor, tf.Tensor]
  } finally {
    state.activeTape = tape
  }
}

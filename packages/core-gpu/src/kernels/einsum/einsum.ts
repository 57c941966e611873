import * as tf from '@tensorflow/tfjs-core'

/** Einsum as a kernel: the inputs in order. */
export function einsum(inputs: Record<string, tf.Tensor>, attributes: Record<string, unknown>): tf.Tensor {
  return einsumOperations(Object.values(inputs), attributes['equation'] as string)
}

/**
 * Einsum of one or two tensors in plain operations: two meet in one batched matrix product.
 * @throws RangeError when the equation does not fit the tensors
 */
export function einsumOperations(operands: tf.Tensor[], equation: string): tf.Tensor {
  const [left, output] = equation.replaceAll(' ', '').split('->') as [string, string | undefined]
  const terms = left.split(',')
  if (output === undefined || terms.length !== operands.length || terms.length > 2)
    throw new RangeError(`equation: expected ${operands.length} terms of at most 2 and "->", got "${equation}"`)
  const sizes = labelSizes(terms, operands, equation)
  if ([...output].some((label) => !sizes.has(label)))
    throw new RangeError(`equation: expected output labels that the inputs have, got "${equation}"`)

  const [a, b] = terms.map((term, i) =>
    sumUnused(operands[i]!, term, output + terms.filter((_, j) => j !== i).join('')),
  )
  if (!b)
    return tf.transpose(
      a!.tensor,
      [...output].map((label) => a!.term.indexOf(label)),
    )

  const batch = keep(a!.term, (label) => b.term.includes(label) && output.includes(label))
  const inner = keep(a!.term, (label) => b.term.includes(label) && !output.includes(label))
  const rows = keep(a!.term, (label) => !b.term.includes(label))
  const columns = keep(b.term, (label) => !a!.term.includes(label))
  const count = (labels: string): number => [...labels].reduce((n, label) => n * sizes.get(label)!, 1)
  // As the product wants it, or transposed, which the product takes as well; only what is neither is moved.
  const arrange = ({ tensor, term }: Term, first: string, second: string): Matrices => {
    const swapped = term === batch + second + first && term !== batch + first + second
    const [outer, last] = swapped ? [second, first] : [first, second]
    const order = [...(batch + outer + last)].map((label) => term.indexOf(label))
    return { matrices: tf.reshape(permute(tensor, order), [count(batch), count(outer), count(last)]), swapped }
  }
  const leftMatrices = arrange(a!, rows, inner)
  const rightMatrices = arrange(b, inner, columns)
  const product = tf.matMul(leftMatrices.matrices, rightMatrices.matrices, leftMatrices.swapped, rightMatrices.swapped) // [batch, rows, columns]
  const labels = batch + rows + columns
  const unfolded = tf.reshape(
    product,
    [...labels].map((label) => sizes.get(label)!),
  )
  return permute(
    unfolded,
    [...output].map((label) => labels.indexOf(label)),
  )
}

/** `tf.transpose`, which moves the numbers also where nothing changes. */
function permute(tensor: tf.Tensor, order: number[]): tf.Tensor {
  return order.every((from, to) => from === to) ? tensor : tf.transpose(tensor, order)
}

interface Term {
  readonly tensor: tf.Tensor
  readonly term: string
}

interface Matrices {
  /** [batch, rows, columns] */
  readonly matrices: tf.Tensor
  /** whether rows and columns are the wrong way round */
  readonly swapped: boolean
}

function labelSizes(terms: string[], operands: tf.Tensor[], equation: string): Map<string, number> {
  const sizes = new Map<string, number>()
  terms.forEach((term, i) => {
    const { shape } = operands[i]!
    if (shape.length !== term.length || new Set(term).size !== term.length)
      throw new RangeError(`equation: term "${term}" of "${equation}" does not fit shape [${shape}]`)
    ;[...term].forEach((label, axis) => {
      if ((sizes.get(label) ?? shape[axis]) !== shape[axis])
        throw new RangeError(`equation: "${label}" of "${equation}" is both ${sizes.get(label)} and ${shape[axis]}`)
      sizes.set(label, shape[axis]!)
    })
  })
  return sizes
}

function sumUnused(tensor: tf.Tensor, term: string, used: string): Term {
  const axes = [...term].flatMap((label, axis) => (used.includes(label) ? [] : [axis]))
  if (axes.length === 0) return { tensor, term }
  return { tensor: tf.sum(tensor, axes), term: keep(term, (label) => used.includes(label)) }
}

function keep(term: string, wanted: (label: string) => boolean): string {
  return [...term].filter(wanted).join('')
}

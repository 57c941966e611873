/** An array of float64 numbers in row-major order, for definitions of operations that owe nothing to TensorFlow.js. */
export interface Nd {
  readonly shape: readonly number[]
  readonly data: Float64Array
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((n, size) => n * size, 1)
}

/** The index of the element that lies at `position` in row-major order. */
function indexAt(shape: readonly number[], position: number): number[] {
  const index = Array.from<number>({ length: shape.length })
  let rest = position
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % shape[axis]!
    rest = Math.floor(rest / shape[axis]!)
  }
  return index
}

/** Every index of a shape, in row-major order. */
export function indices(shape: readonly number[]): number[][] {
  return Array.from({ length: sizeOf(shape) }, (_, position) => indexAt(shape, position))
}

/** An array whose elements are given by their index. */
export function build(shape: readonly number[], element: (index: number[]) => number): Nd {
  const data = new Float64Array(sizeOf(shape))
  for (let position = 0; position < data.length; position++) data[position] = element(indexAt(shape, position))
  return { shape, data }
}

/** Where an index lies; -1 outside the array. */
export function positionOf(shape: readonly number[], index: readonly number[]): number {
  let position = 0
  for (let axis = 0; axis < shape.length; axis++) {
    const i = index[axis]!
    if (i < 0 || i >= shape[axis]!) return -1
    position = position * shape[axis]! + i
  }
  return position
}

/** An element; `outside` for an index that the array does not have. */
export function at({ shape, data }: Nd, index: readonly number[], outside = NaN): number {
  const position = positionOf(shape, index)
  return position < 0 ? outside : data[position]!
}

/** An element of an array that broadcasts to the shape the index belongs to. */
export function broadcastAt({ shape, data }: Nd, index: readonly number[]): number {
  const lead = index.length - shape.length
  let position = 0
  for (let axis = 0; axis < shape.length; axis++)
    position = position * shape[axis]! + (shape[axis] === 1 ? 0 : index[lead + axis]!)
  return data[position]!
}

/** The shape to which two shapes broadcast. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const [m, n] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1]
    return m === 1 ? n : m
  })
}

/** `f` of every element. */
export function map({ shape, data }: Nd, f: (x: number) => number): Nd {
  return { shape, data: data.map(f) }
}

/** The elements along the axes that an index leaves open (`null`), as one list in row-major order. */
export function along(x: Nd, index: readonly (number | null)[]): number[] {
  const open = index.flatMap((i, axis) => (i === null ? [axis] : []))
  return indices(open.map((axis) => x.shape[axis]!)).map((inner) =>
    at(
      x,
      index.map((i, axis) => i ?? inner[open.indexOf(axis)]!),
    ),
  )
}

import type * as tf from '@tensorflow/tfjs-core'

/** One of the tensors that rows are kept in. */
export interface RowPart {
  /** elements of a row, of 4 bytes each */
  readonly width: number
  readonly dtype: 'float32' | 'int32'
}

/** How a cache keeps the numbers of a token: as they are, or in fewer bits. */
export interface Storage {
  /** its name, such as `int8` */
  readonly storage: string
  /**
   * What a row of `width` numbers is kept in, by name.
   * @throws RangeError when rows of that width cannot be kept so
   */
  parts(width: number): Readonly<Record<string, RowPart>>
  /**
   * @param x float32 [B, heads, L, width]
   * @returns [B, heads, L, its width] of each part; new tensors, or `x` itself
   */
  encode(x: tf.Tensor4D): Readonly<Record<string, tf.Tensor4D>>
  /**
   * @param parts as `encode` gave them
   * @returns float32 [B, heads, L, width]; a new tensor, or a part itself
   */
  decode(parts: Readonly<Record<string, tf.Tensor4D>>, width: number): tf.Tensor4D
}

/** Whether a value is a storage. */
export function isStorage(value: unknown): value is Storage {
  const { storage, encode, decode } = (value ?? {}) as Partial<Record<keyof Storage, unknown>>
  return typeof storage === 'string' && typeof encode === 'function' && typeof decode === 'function'
}

/** Bytes of one row. */
export function rowBytes(storage: Storage, width: number): number {
  return Object.values(storage.parts(width)).reduce((sum, part) => sum + 4 * part.width, 0)
}

import * as tf from '@tensorflow/tfjs-core'
import { runProgram } from '../webgpu/run-program.ts'

/**
 * Some slots of every place.
 * @param buffer [places, heads, slots, width]
 * @returns [places, heads, count, width]
 */
export function takeSlots(buffer: tf.Tensor4D, from: number, count: number): tf.Tensor4D {
  if (!mustKeepBits(buffer)) return tf.slice(buffer, [0, 0, from, 0], [-1, -1, count, -1])
  return takeOnWebgpu(buffer, Array.from({ length: buffer.shape[0] }, (_, place) => [place]), from, count) // prettier-ignore
}

/**
 * All slots of some places, in a row for each table.
 * @param buffer [places, heads, slots, width]
 * @param tables places, as many in each
 * @returns [tables, heads, places of a table * slots, width]
 */
export function takePlaces(buffer: tf.Tensor4D, tables: readonly (readonly number[])[]): tf.Tensor4D {
  const [, heads, slots, width] = buffer.shape
  if (mustKeepBits(buffer)) return takeOnWebgpu(buffer, tables, 0, slots)
  const rows = tables.flatMap((table) =>
    Array.from({ length: heads }, (_, head) => table.map((place) => place * heads + head)).flat(),
  )
  return tf.tidy(() => {
    const taken = tf.gather(tf.reshape(buffer, [-1, slots, width]), tf.tensor1d(rows, 'int32'))
    return tf.reshape(taken, [tables.length, heads, tables[0]!.length * slots, width])
  })
}

/** A tensor that shares its elements with no other. */
export function copied(buffer: tf.Tensor4D): tf.Tensor4D {
  if (mustKeepBits(buffer)) return takeSlots(buffer, 0, buffer.shape[2])
  return tf.tidy(() => tf.add(buffer, tf.scalar(0, buffer.dtype as 'float32' | 'int32')))
}

/** Whether plain operations would change it: on webgpu they take whole numbers for float32, which has 24 bits. */
function mustKeepBits(buffer: tf.Tensor4D): boolean {
  return tf.getBackend() === 'webgpu' && buffer.dtype === 'int32'
}

function takeOnWebgpu(
  buffer: tf.Tensor4D,
  tables: readonly (readonly number[])[],
  from: number,
  count: number,
): tf.Tensor4D {
  const [, heads, , width] = buffer.shape
  const pages = tables[0]!.length
  return tf.tidy(() =>
    runProgram({
      name: 'take rows',
      inputs: { x: buffer, places: tf.tensor1d(tables.flat(), 'int32') },
      shape: [tables.length, heads, pages * count, width],
      dtype: 'int32',
      numbers: { first: from, span: count },
      main: `
        let width = uniforms.outShape.w;
        let tokens = uniforms.outShape.z;
        let token = (index / width) % tokens;
        let head = (index / (width * tokens)) % uniforms.outShape.y;
        let table = index / (width * tokens * uniforms.outShape.y);
        let place = places[table * (tokens / uniforms.span) + token / uniforms.span];
        let slot = uniforms.first + token % uniforms.span;
        result[index] = x[((place * uniforms.xShape.y + head) * uniforms.xShape.z + slot) * width + index % width];`,
    }),
  )
}

import type * as tf from '@tensorflow/tfjs-core'
import { runProgram, type Shape4D } from '../../webgpu/run-program.ts'
import type { ByteFormat } from './byte-format.ts'

/** One invocation packs four numbers. */
export function packBytesWebgpu(format: ByteFormat, x: tf.Tensor4D, scales: tf.Tensor4D, shape: Shape4D): tf.Tensor4D {
  return runProgram({
    name: `pack ${format.name}`,
    inputs: { x, scales },
    shape,
    dtype: 'int32',
    declarations: format.wgsl,
    main: `
      let width = uniforms.xShape.w;
      let group = width / uniforms.scalesShape.w;
      let row = index / uniforms.outShape.w;
      let first = (index % uniforms.outShape.w) * 4;
      var word = 0u;
      for (var i = 0; i < min(4, width - first); i++) {
        let at = row * width + first + i;
        let scale = scales[at / group];
        if (scale > 0.0) { word |= toByte(x[at] / scale) << u32(8 * i); }
      }
      result[index] = bitcast<i32>(word);`,
  })
}

/** One invocation unpacks a number. */
export function unpackBytesWebgpu(
  format: ByteFormat,
  codes: tf.Tensor4D,
  scales: tf.Tensor4D,
  shape: Shape4D,
): tf.Tensor4D {
  return runProgram({
    name: `unpack ${format.name}`,
    inputs: { codes, scales },
    shape,
    dtype: 'float32',
    declarations: format.wgsl,
    main: `
      let width = uniforms.outShape.w;
      let row = index / width;
      let column = index % width;
      let word = bitcast<u32>(codes[row * uniforms.codesShape.w + column / 4]);
      let byte = (word >> u32(8 * (column % 4))) & 255u;
      result[index] = fromByte(byte) * scales[index / (width / uniforms.scalesShape.w)];`,
  })
}

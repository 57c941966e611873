import * as tf from '@tensorflow/tfjs-core'

export type Shape4D = [number, number, number, number]

/** The part of tfjs-backend-webgpu 4.22 that is used here. */
interface WebgpuBackend {
  runWebGPUProgram(
    program: object,
    inputs: tf.TensorInfo[],
    dtype: tf.DataType,
    uniforms: { type: 'int32'; data: number[] }[],
  ): tf.TensorInfo
}

export interface Program {
  /** must tell its code from that of others */
  readonly name: string
  /** by the names of the shader's arrays; `<name>Shape` is among the uniforms, so is `outShape` */
  readonly inputs: Readonly<Record<string, tf.Tensor>>
  readonly shape: Shape4D
  readonly dtype: 'float32' | 'int32'
  /** whole numbers among the uniforms */
  readonly numbers?: Readonly<Record<string, number>>
  /** WGSL: functions of its own */
  readonly declarations?: string
  /** WGSL: sets `result[index]` */
  readonly main: string
}

const workgroup = 128

/** Runs a program on webgpu, of which each invocation makes one element. */
export function runProgram({
  name,
  inputs,
  shape,
  dtype,
  numbers = {},
  declarations = '',
  main,
}: Program): tf.Tensor4D {
  const program = {
    shaderKey: name,
    variableNames: Object.keys(inputs),
    outputShape: shape,
    dispatchLayout: { x: [0, 1, 2, 3] },
    dispatch: [Math.ceil(tf.util.sizeFromShape(shape) / workgroup), 1, 1],
    workgroupSize: [workgroup, 1, 1],
    size: true,
    uniforms: Object.keys(numbers).map((number) => `${number}: i32, `).join(''),
    getUserCode: () => `
      ${declarations}
      fn main(index: i32) {
        if (index >= uniforms.size) { return; }
        ${main}
      }`,
  } // prettier-ignore
  const uniforms = Object.values(numbers).map((number) => ({ type: 'int32' as const, data: [number] }))
  const made = (tf.backend() as unknown as WebgpuBackend).runWebGPUProgram(program, Object.values(inputs), dtype, uniforms) // prettier-ignore
  return tf.engine().makeTensorFromTensorInfo(made) as tf.Tensor4D
}

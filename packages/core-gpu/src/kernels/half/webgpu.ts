import type { Kernel } from '../registry.ts'
import { makeTensor, runProgram } from '../webgpu-program.ts'

/** XPackHalf, which every adapter can: no feature of WebGPU is needed. Floor: 6 bytes moved for each number. */
export const packHalfWebgpu: Kernel = ({ x }, _, backend) => {
  const packed = makeTensor(backend, [...x!.shape.slice(0, -1), x!.shape.at(-1)! / 2], 'int32')
  runProgram(backend, {
    name: 'pack half',
    reads: { x: { tensor: x!, as: 'vec2<f32>' } },
    writes: { packed: { tensor: packed, as: 'u32' } },
    sizes: { count: x!.size / 2 },
    workgroups: Math.ceil(x!.size / 512),
    main: `
      let at = group * 256u + lane;
      if (at >= u.count) { return; }
      packed[at] = pack2x16float(clamp(x[at], vec2<f32>(-65504.0), vec2<f32>(65504.0)));`,
  })
  return packed
}

/** XUnpackHalf. Floor: 6 bytes moved for each number. */
export const unpackHalfWebgpu: Kernel = ({ packed }, _, backend) => {
  const x = makeTensor(backend, [...packed!.shape.slice(0, -1), packed!.shape.at(-1)! * 2])
  runProgram(backend, {
    name: 'unpack half',
    reads: { packed: { tensor: packed!, as: 'u32' } },
    writes: { x: { tensor: x, as: 'vec2<f32>' } },
    sizes: { count: packed!.size },
    workgroups: Math.ceil(packed!.size / 256),
    main: `
      let at = group * 256u + lane;
      if (at < u.count) { x[at] = unpack2x16float(packed[at]); }`,
  })
  return x
}

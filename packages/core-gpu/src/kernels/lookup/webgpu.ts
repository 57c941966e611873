import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeTensor, runProgram } from '../webgpu-program.ts'

/** XGatherRows: one invocation for up to 4 elements. Floor: no operations, 8 N d + 4 N bytes moved. */
export const gatherRowsWebgpu: Kernel = ({ table, ids }, { fill }, backend) => {
  const [count, ...inner] = table!.shape as [number, ...number[]]
  const n = ids!.shape[0]!
  const d = tf.util.sizeFromShape(inner)
  const width = d % 4 === 0 ? 4 : 1
  const as = width === 4 ? 'vec4<u32>' : 'u32' // bits, which every kind of element has, and NaN too
  const rows = makeTensor(backend, [n, ...inner], table!.dtype)
  runProgram(backend, {
    name: 'gather rows',
    reads: { table: { tensor: table!, as }, ids: ids! },
    writes: { rows: { tensor: rows, as } },
    sizes: { n, count, width: d / width, fill: new Uint32Array(Float32Array.of(fill as number).buffer)[0]! },
    workgroups: Math.ceil((n * d) / width / 256),
    main: `
      let at = group * 256u + lane;
      let row = at / u.width;
      if (row >= u.n) { return; }
      let id = u32(ids[row]); // a negative one is far outside
      if (id < u.count) { rows[at] = table[id * u.width + at % u.width]; } else { rows[at] = ${as}(u.fill); }`,
  })
  return rows
}

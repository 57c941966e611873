import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeTensor, runProgram } from '../webgpu-program.ts'

// Sums that a workgroup has in its memory: 8 KiB.
const sumsOfWorkgroup = 2048
const wantedWorkgroups = 256
const leastRows = 1024

/**
 * UnsortedSegmentSum: each workgroup owns some segments and columns, and searches all ids for rows of its own.
 *
 * Rows are added in their order, by no atomics on numbers, so the sums have the same bits every time. Where there are few
 * sums, several workgroups share the rows of one, and their sums are added up in order.
 *
 * Floor: N d additions; 4 N d + 4 count d bytes for the rows and sums, and 4 N ceil(count d / 2048) for the ids, mostly
 * from the caches.
 */
export const segmentSumWebgpu: Kernel = ({ x, segmentIds }, { numSegments }, backend) => {
  const count = numSegments as number
  const [n, ...inner] = x!.shape as [number, ...number[]]
  const d = tf.util.sizeFromShape(inner)
  if (n * d === 0 || count === 0) return tf.zeros([count, ...inner], x!.dtype)

  const columns = Math.min(64, 2 ** Math.ceil(Math.log2(d)))
  const segments = sumsOfWorkgroup / columns
  const [blocks, columnBlocks] = [Math.ceil(count / segments), Math.ceil(d / columns)]
  const slabs = Math.min(Math.ceil(n / leastRows), Math.max(1, Math.floor(wantedWorkgroups / (blocks * columnBlocks))))
  const element = x!.dtype === 'float32' ? 'f32' : 'i32'
  const sums = makeTensor(backend, [count, ...inner], x!.dtype)
  const parts = slabs === 1 ? sums : makeTensor(backend, [slabs, count, d], x!.dtype)
  runProgram(backend, {
    name: 'segment sum',
    reads: { x: x!, ids: segmentIds! },
    writes: { parts },
    sizes: { n, d, count, columns, segments, columnBlocks, slabs, rowsOfSlab: Math.ceil(n / slabs) },
    workgroups: blocks * columnBlocks * slabs,
    declarations: `
      var<workgroup> sums: array<${element}, ${sumsOfWorkgroup}>; // [segments, columns]
      var<workgroup> targets: array<u32, 256>; // the segment of each of 256 rows, counted from the first of this workgroup
      var<workgroup> marks: array<atomic<u32>, 8>; // a bit for each row that has one`,
    main: addUp,
  })
  if (parts === sums) return sums
  runProgram(backend, {
    name: 'segment sum: slabs',
    reads: { parts },
    writes: { sums },
    sizes: { size: count * d, slabs },
    workgroups: Math.ceil((count * d) / 256),
    main: `
      let at = group * 256u + lane;
      if (at >= u.size) { return; }
      var sum = parts[at];
      for (var slab = 1u; slab < u.slabs; slab++) { sum += parts[slab * u.size + at]; }
      sums[at] = sum;`,
  })
  backend.disposeData(parts.dataId)
  return sums
}

const addUp = `
  let slab = group % u.slabs;
  let first = (group / u.slabs / u.columnBlocks) * u.segments;
  let here = min(u.segments, u.count - first);
  let local = lane % u.columns;
  let column = ((group / u.slabs) % u.columnBlocks) * u.columns + local;
  let shares = 256u / u.columns; // a power of two, as the number of columns is
  let share = lane / u.columns; // of the segments, those that leave this remainder are this invocation's
  for (var i = lane; i < ${sumsOfWorkgroup}u; i += 256u) { sums[i] = 0; }
  let end = min(u.n, (slab + 1u) * u.rowsOfSlab);
  for (var base = slab * u.rowsOfSlab; base < end; base += 256u) {
    if (lane < 8u) { atomicStore(&marks[lane], 0u); }
    workgroupBarrier();
    if (base + lane < end) {
      let id = ids[base + lane];
      let segment = u32(id) - first; // far outside when the id is below the first or negative
      if (id >= 0 && segment < here) {
        targets[lane] = segment;
        atomicOr(&marks[lane / 32u], 1u << (lane % 32u));
      }
    }
    workgroupBarrier();
    for (var word = 0u; word < 8u; word++) {
      for (var bits = atomicLoad(&marks[word]); bits != 0u; bits &= bits - 1u) {
        let row = word * 32u + firstTrailingBit(bits);
        let segment = targets[row];
        if ((segment & (shares - 1u)) == share && column < u.d) {
          sums[segment * u.columns + local] += x[(base + row) * u.d + column];
        }
      }
    }
    workgroupBarrier();
  }
  if (column >= u.d) { return; }
  for (var segment = share; segment < here; segment += shares) {
    parts[(slab * u.count + first + segment) * u.d + column] = sums[segment * u.columns + local];
  }`

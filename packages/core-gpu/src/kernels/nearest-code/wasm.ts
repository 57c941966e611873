import type * as tf from '@tensorflow/tfjs-core'
import type { Pack } from '../pack.ts'

// Codes are packed this many bytes at a time, so that a large codebook needs no second copy of itself.
const packedBytes = 1 << 22

/** XNearestCode: GEMM tiles that begin at |c|^2 and end in a running minimum. */
export function nearestCodeWasm(pack: Pack, x: tf.TensorInfo, codebook: tf.TensorInfo): tf.TensorInfo[] {
  const [rows, d] = x.shape as [number, number]
  const codes = codebook.shape[0]!
  const indices = pack.output([rows], 'int32')
  const distances = pack.output([rows])
  const block = Math.min(Math.ceil(codes / 8) * 8, Math.max(64, Math.floor(packedBytes / (d * 4) / 8) * 8))
  const panels = pack.scratch(block * (d + 1) * 4 + pack.run.nearestScratch(d))
  const norms = panels + block * d * 4
  const [from, table, best, scores] = [x, codebook, indices, distances].map((tensor) => pack.address(tensor)) as [
    number,
    number,
    number,
    number,
  ]
  pack.clear(indices)
  new Float32Array(pack.backend.wasm.HEAPU8.buffer, scores, rows).fill(Infinity)
  for (let base = 0; base < codes; base += block) {
    const count = Math.min(block, codes - base)
    pack.run.packCodes(table + base * d * 4, count, d, panels, norms)
    pack.run.nearestRows(from, rows, d, panels, norms, base, count, scores, best, norms + block * 4)
  }
  pack.run.nearestDistances(from, table, rows, d, best, scores)
  return [indices, distances]
}

import * as tf from '@tensorflow/tfjs-core'
import { aroundAxis, type Gradient, listOf } from './gradient.ts'

/** Gradients of what moves elements. tfjs has none for some, and wrong or limited ones for the others. */
export const rearrangingGradients: Record<string, Gradient> = {
  [tf.DepthToSpace]: {
    gradFunc: (dy, _saved, { blockSize, dataFormat }) => ({
      x: () => {
        if (dataFormat === 'NCHW') throw new Error('DepthToSpace: no backend of ours differentiates NCHW')
        const block = blockSize as number
        const [b, outH, outW, c] = (dy as tf.Tensor4D).shape
        const [h, w] = [outH / block, outW / block]
        const rows = tf.reshape(dy as tf.Tensor, [b * h, block, w, block * c])
        return tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [b, h, w, block * block * c])
      },
    }),
  },
  [tf.Diag]: {
    gradFunc: (dy) => ({
      x: () => {
        const { shape, rank } = dy as tf.Tensor
        const own = shape.slice(0, rank / 2)
        const n = tf.util.sizeFromShape(own)
        return tf.reshape(tf.stridedSlice(tf.reshape(dy as tf.Tensor, [n * n]), [0], [n * n], [n + 1]), own)
      },
    }),
  },
  [tf.FlipLeftRight]: {
    gradFunc: (dy) => ({ image: () => tf.image.flipLeftRight(dy as tf.Tensor4D) }),
  },
  [tf.MirrorPad]: {
    gradFunc: (dy, _saved, { paddings, mode }) => ({
      x: () =>
        (paddings as [number, number][]).reduce<tf.Tensor>(
          (folded, pads, axis) => foldMirror(folded, axis, pads, mode === 'reflect' ? 1 : 0),
          dy as tf.Tensor,
        ),
    }),
  },
  [tf.SplitV]: {
    gradFunc: (dy, _saved, { axis }) => ({ x: () => tf.concat(listOf(dy), axis as number) }),
  },
  [tf.StridedSlice]: {
    inputsToSave: ['x'],
    gradFunc: (dy, saved, attributes) => ({ x: () => spread(dy as tf.Tensor, saved[0]!.shape, attributes) }),
  },
  [tf.Tile]: {
    gradFunc: (dy, _saved, { reps }) => ({
      x: () => (reps as number[]).reduce<tf.Tensor>((sum, count, axis) => sumCopies(sum, axis, count), dy as tf.Tensor),
    }),
  },
  [tf.Unpack]: {
    gradFunc: (dy, _saved, { axis }) => ({ value: () => tf.stack(listOf(dy), axis as number) }),
  },
}

/** The copies that `tile` made along an axis, added up. */
function sumCopies(dy: tf.Tensor, axis: number, count: number): tf.Tensor {
  if (count === 1) return dy
  if (dy.size === 0) return tf.zeros(dy.shape.with(axis, dy.shape[axis]! / count))
  const size = dy.shape[axis]! / count
  const [before, behind] = [dy.shape.slice(0, axis), dy.shape.slice(axis + 1)]
  const outer = tf.util.sizeFromShape(before)
  const copies = tf.reshape(dy, [outer, count, size * tf.util.sizeFromShape(behind)])
  return tf.reshape(tf.sum(copies, 1), [...before, size, ...behind])
}

/** What `mirrorPad` put before and behind an axis, added to where it was mirrored from. */
function foldMirror(dy: tf.Tensor, axis: number, [before, behind]: [number, number], edge: number): tf.Tensor {
  if (before === 0 && behind === 0) return dy
  const x = aroundAxis(dy, axis)
  const [outer, padded, inner] = x.shape
  const size = padded - before - behind
  const mirrored = (from: number, count: number, to: number): tf.Tensor =>
    tf.pad(tf.reverse(tf.slice(x, [0, from, 0], [outer, count, inner]), 1), [
      [0, 0],
      [to, size - to - count],
      [0, 0],
    ])
  const parts = [tf.slice(x, [0, before, 0], [outer, size, inner]) as tf.Tensor]
  if (before > 0) parts.push(mirrored(0, before, edge))
  if (behind > 0) parts.push(mirrored(before + size, behind, size - edge - behind))
  return tf.reshape(tf.addN(parts), dy.shape.with(axis, size))
}

/** Elements of a strided slice, put back to where they were taken from, with zeros between. */
function spread(dy: tf.Tensor, shape: number[], attributes: tf.NamedAttrMap): tf.Tensor {
  const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attributes
  const info = tf.slice_util.sliceInfo(
    shape,
    begin as number[],
    end as number[],
    strides as number[],
    beginMask as number,
    endMask as number,
    ellipsisMask as number,
    newAxisMask as number,
    shrinkAxisMask as number,
  )
  const taken = tf.slice_util.computeOutShape(info.begin, info.end, info.strides)
  if (taken.includes(0)) return tf.zeros(shape)
  return taken.reduce<tf.Tensor>(
    (sum, count, axis) => spreadAxis(sum, axis, count, info.begin[axis]!, info.strides[axis]!, shape[axis]!),
    tf.reshape(dy, taken),
  )
}

function spreadAxis(
  dy: tf.Tensor,
  axis: number,
  count: number,
  begin: number,
  stride: number,
  size: number,
): tf.Tensor {
  if (count === size && stride === 1) return dy
  const step = Math.abs(stride)
  const first = stride > 0 ? begin : begin + (count - 1) * stride
  const ordered = stride > 0 ? aroundAxis(dy, axis) : tf.reverse(aroundAxis(dy, axis), 1)
  const [outer, , inner] = ordered.shape
  const gaps = tf.reshape(ordered, [outer * count, 1, inner])
  const spaced = step === 1 ? gaps : tf.pad(gaps, [[0, 0], [0, step - 1], [0, 0]]) // prettier-ignore
  const reach = (count - 1) * step + 1
  const exact = tf.slice(tf.reshape(spaced, [outer, count * step, inner]), [0, 0, 0], [outer, reach, inner])
  const placed = tf.pad(exact, [[0, 0], [first, size - first - reach], [0, 0]]) // prettier-ignore
  return tf.reshape(placed, dy.shape.with(axis, size))
}

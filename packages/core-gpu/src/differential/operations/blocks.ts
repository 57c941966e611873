import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { at, build } from '../nd.ts'
import { float, type Operation, trials } from '../operation.ts'

const few = fc.integer({ min: 1, max: 3 })
type Pairs = [number, number][]

/** Blocks of an image to batch or channels, and back. */
export const blockOperations: Operation[] = [
  {
    name: 'spaceToBatchND',
    kind: 'rearranging',
    trials: trials(
      fc.tuple(few, few, few, few, few, few, fc.nat(1), fc.nat(1)),
      ([batch, depth, rows, columns, bh, bw, padY, padX], seed) => {
        // Padding before is added; sizes are whole numbers of blocks.
        const [h, w] = [Math.max(1, rows * bh - padY), Math.max(1, columns * bw - padX)]
        const pads: Pairs = [
          [rows * bh - h, 0],
          [columns * bw - w, 0],
        ]
        return {
          about: `spaceToBatchND, blocks [${bh},${bw}], padding [${pads}]`,
          operands: [float([batch, h, w, depth], seed)],
          run: (x) => tf.spaceToBatchND(x!, [bh, bw], pads),
          reference: (x) =>
            build([batch * bh * bw, rows, columns, depth], ([b, y, z, c]) => {
              const within = Math.floor(b! / batch)
              const [dy, dx] = [Math.floor(within / bw), within % bw]
              return at(x!, [b! % batch, y! * bh + dy - pads[0]![0], z! * bw + dx - pads[1]![0], c!], 0)
            }),
        }
      },
    ),
  },
  {
    name: 'batchToSpaceND',
    kind: 'rearranging',
    trials: trials(
      fc.tuple(few, few, few, few, few, few, fc.nat(1), fc.nat(1)),
      ([batch, depth, rows, columns, bh, bw, cropTop, cropRight], seed) => {
        const crops: Pairs = [
          [Math.min(cropTop, rows * bh - 1), 0],
          [0, Math.min(cropRight, columns * bw - 1)],
        ]
        const [h, w] = [rows * bh - crops[0]![0], columns * bw - crops[1]![1]]
        return {
          about: `batchToSpaceND, blocks [${bh},${bw}], crops [${crops}]`,
          operands: [float([batch * bh * bw, rows, columns, depth], seed)],
          run: (x) => tf.batchToSpaceND(x!, [bh, bw], crops),
          reference: (x) =>
            build([batch, h, w, depth], ([b, y, z, c]) => {
              const row = y! + crops[0]![0]
              const within = (row % bh) * bw + (z! % bw)
              return at(x!, [within * batch + b!, Math.floor(row / bh), Math.floor(z! / bw), c!])
            }),
        }
      },
    ),
  },
  {
    name: 'depthToSpace',
    kind: 'rearranging',
    trials: trials(
      fc.tuple(few, few, few, few, fc.integer({ min: 2, max: 3 })),
      ([batch, h, w, depth, block], seed) => ({
        about: `depthToSpace, blocks of ${block}`,
        operands: [float([batch, h, w, depth * block * block], seed)],
        run: (x) => tf.depthToSpace(x as tf.Tensor4D, block),
        reference: (x) =>
          build([batch, h * block, w * block, depth], ([b, y, z, c]) => {
            const within = (y! % block) * block + (z! % block)
            return at(x!, [b!, Math.floor(y! / block), Math.floor(z! / block), within * depth + c!])
          }),
      }),
    ),
  },
]

import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { key } from '../random/key.ts'
import { BatchNorm } from './batch-norm.ts'
import { Conv2d } from './conv2d.ts'
import { ConvTranspose2d } from './conv-transpose2d.ts'
import { Dropout } from './dropout.ts'
import { Embedding } from './embedding.ts'
import { GroupNorm } from './group-norm.ts'
import { LayerNorm } from './layer-norm.ts'
import { Linear } from './linear.ts'
import { RmsNorm } from './rms-norm.ts'
import { Sequential } from './sequential.ts'
import { Upsample } from './upsample.ts'

type Pair = [number, number]

/** Reads by index, 0 outside: the loops below are the definitions, in float64. */
async function reader(x: tf.Tensor): Promise<(...index: number[]) => number> {
  const values = await x.data()
  return (...index) =>
    index.some((i, axis) => i < 0 || i >= x.shape[axis]!)
      ? 0
      : values[index.reduce((at, i, axis) => at * x.shape[axis]! + i, 0)]!
}

async function expectEach(y: tf.Tensor, exact: (...index: number[]) => number, tolerance = 1e-5): Promise<void> {
  const got = await y.data()
  for (let at = 0; at < y.size; at++) {
    const index = y.shape.map((size, axis) => Math.floor(at / tf.util.sizeFromShape(y.shape.slice(axis + 1))) % size)
    const wanted = exact(...index)
    if (!(Math.abs(got[at]! - wanted) <= tolerance))
      expect.fail(`at [${index.join()}]: got ${got[at]}, exact ${wanted}`)
  }
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0)
const mean = (values: number[]): number => sum(values) / values.length
const variance = (values: number[]): number => mean(values.map((v) => (v - mean(values)) ** 2))

describe.each(['cpu', 'wasm'] as const)('layers against float64 loops on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend)
  })

  it('Linear', async () => {
    const layer = new Linear(3, 2, { key: key(1) })
    const x = key(2).normal([2, 4, 3])
    const [xs, w, b] = [await reader(x), await reader(layer.weight), await reader(layer.bias!)]
    await expectEach(layer.forward(x), (i, j, o) => b(o) + sum(range(3).map((c) => xs(i, j, c) * w(o, c))))
  })

  const convolutions: { kernelSize: Pair; stride: Pair; padding: Pair; dilation: Pair; size: Pair }[] = [
    { kernelSize: [3, 3], stride: [1, 1], padding: [0, 0], dilation: [1, 1], size: [3, 4] },
    { kernelSize: [3, 2], stride: [2, 1], padding: [1, 1], dilation: [1, 1], size: [3, 7] },
    { kernelSize: [2, 3], stride: [2, 2], padding: [1, 2], dilation: [3, 2], size: [2, 3] },
  ]
  it.each(convolutions)('Conv2d $kernelSize, $stride, $padding, $dilation', async ({ size, ...options }) => {
    const layer = new Conv2d(2, 3, { key: key(1), ...options })
    const x = key(2).normal([2, 5, 6, 2])
    const [xs, w, b] = [await reader(x), await reader(layer.weight), await reader(layer.bias!)]
    const { kernelSize, stride, padding, dilation } = options
    const y = layer.forward(x)
    expect(y.shape).toEqual([2, ...size, 3])
    const at = (axis: 0 | 1, out: number, tap: number): number =>
      out * stride[axis] + tap * dilation[axis] - padding[axis]
    await expectEach(y, (n, i, j, o) => {
      const taps = range(kernelSize[0]).flatMap((p) => range(kernelSize[1]).map((q) => [p, q] as const))
      return b(o) + sum(taps.flatMap(([p, q]) => [0, 1].map((c) => xs(n, at(0, i, p), at(1, j, q), c) * w(p, q, c, o))))
    })
  })

  it('ConvTranspose2d has the output size of PyTorch and spreads each pixel by the kernel', async () => {
    const [stride, padding] = [3, 1]
    const layer = new ConvTranspose2d(2, 3, { key: key(1), kernelSize: 4, stride, padding, outputPadding: [1, 2] })
    const x = key(2).normal([2, 3, 4, 2])
    const [xs, w, b] = [await reader(x), await reader(layer.weight), await reader(layer.bias!)]
    const y = layer.forward(x)
    expect(y.shape).toEqual([2, (3 - 1) * 3 - 2 + 4 + 1, (4 - 1) * 3 - 2 + 4 + 2, 3])
    const tap = (out: number, from: number): number => out + padding - from * stride
    await expectEach(y, (n, i, j, o) => {
      const pixels = range(3).flatMap((p) => range(4).map((q) => [p, q] as const))
      return b(o) + sum(pixels.flatMap(([p, q]) => [0, 1].map((c) => xs(n, p, q, c) * w(tap(i, p), tap(j, q), o, c))))
    })
  })

  it('Upsample repeats, or interpolates between pixel centres', async () => {
    const x = key(2).normal([2, 3, 2, 2])
    const xs = await reader(x)
    await expectEach(new Upsample({ scale: [2, 3] }).forward(x), (n, i, j, c) =>
      xs(n, Math.floor(i / 2), Math.floor(j / 3), c),
    )
    const bilinear = new Upsample({ scale: [2, 3], method: 'bilinear' }).forward(x)
    await expectEach(bilinear, (n, i, j, c) => {
      const [v, u] = [Math.max(0, (i + 0.5) / 2 - 0.5), Math.max(0, (j + 0.5) / 3 - 0.5)]
      const [top, left] = [Math.floor(v), Math.floor(u)]
      const row = (p: number): number => {
        const [a, b] = [xs(n, Math.min(p, 2), left, c), xs(n, Math.min(p, 2), Math.min(left + 1, 1), c)]
        return a + (u - left) * (b - a)
      }
      return row(top) + (v - top) * (row(top + 1) - row(top))
    })
  })

  it('LayerNorm, RmsNorm, GroupNorm', async () => {
    const x = key(2).normal([2, 3, 4], { mean: 2, standardDeviation: 3 })
    const xs = await reader(x)
    const vector = (i: number, j: number): number[] => range(4).map((c) => xs(i, j, c))
    await expectEach(new LayerNorm(4, { epsilon: 0.1 }).forward(x), (i, j, c) => {
      const v = vector(i, j)
      return (v[c]! - mean(v)) / Math.sqrt(variance(v) + 0.1)
    })
    await expectEach(new RmsNorm(4, { epsilon: 0.1 }).forward(x), (i, j, c) => {
      const v = vector(i, j)
      return v[c]! / Math.sqrt(mean(v.map((value) => value ** 2)) + 0.1)
    })
    await expectEach(new GroupNorm(2, 4, { epsilon: 0.1 }).forward(x), (i, j, c) => {
      const first = c < 2 ? 0 : 2
      const group = range(3).flatMap((row) => [xs(i, row, first), xs(i, row, first + 1)])
      return (xs(i, j, c) - mean(group)) / Math.sqrt(variance(group) + 0.1)
    })
  })

  it('BatchNorm follows the batches, and uses what it has followed', async () => {
    const layer = new BatchNorm(2, { momentum: 0.25, epsilon: 0.1 })
    const x = key(2).normal([3, 2, 2], { mean: 1, standardDeviation: 2 })
    const xs = await reader(x)
    const feature = (c: number): number[] => range(6).map((i) => xs(Math.floor(i / 2), i % 2, c))
    await expectEach(
      layer.forward(x, { training: true }),
      (i, j, c) => (xs(i, j, c) - mean(feature(c))) / Math.sqrt(variance(feature(c)) + 0.1),
    )
    const runningMean = (c: number): number => 0.25 * mean(feature(c))
    const runningVariance = (c: number): number => 0.75 + 0.25 * variance(feature(c)) * (6 / 5)
    await expectEach(layer.runningMean, runningMean)
    await expectEach(layer.runningVariance, runningVariance)
    await expectEach(
      layer.forward(x),
      (i, j, c) => (xs(i, j, c) - runningMean(c)) / Math.sqrt(runningVariance(c) + 0.1),
    )
    expect(Object.keys(layer.parameters())).toEqual(['weight', 'bias'])
    expect(Object.keys(layer.state())).toEqual(['weight', 'bias', 'runningMean', 'runningVariance'])
  })

  it('Embedding looks vectors up', async () => {
    const layer = new Embedding(5, 3, { key: key(1) })
    const w = await reader(layer.weight)
    const picks = [
      [4, 0],
      [2, 4],
    ]
    const y = layer.forward(tf.tensor2d(picks, [2, 2], 'int32'))
    await expectEach(y, (i, j, c) => w(picks[i]![j]!, c), 0)
  })

  it('Dropout drops at its rate, scales the rest, and repeats itself under one key', async () => {
    const layer = new Dropout(0.25)
    const x = tf.ones([100, 100])
    const y = await layer.forward(x, { training: true, key: key(3) }).data()
    expect(new Set(y)).toEqual(new Set([0, Math.fround(4 / 3)]))
    // Standard deviation of the share: 0.0043.
    expect(Math.abs(y.filter((v) => v === 0).length / y.length - 0.25)).toBeLessThan(0.02)
    expect(await layer.forward(x, { training: true, key: key(3) }).data()).toEqual(y)
    expect(await layer.forward(x, { training: true, key: key(4) }).data()).not.toEqual(y)
    expect(await layer.forward(x).data()).toEqual(await x.data())
  })
})

describe('layers', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  it('Sequential names its layers by position and gives each its own key', async () => {
    const net = new Sequential(new Linear(2, 3, { key: key(1) }), new Dropout(0.5), new Dropout(0.5))
    expect(net).toHaveLength(3)
    expect(Object.keys(net.state())).toEqual(['0.weight', '0.bias'])
    const twice = new Sequential(new Dropout(0.5), new Dropout(0.5))
    const once = new Sequential(new Dropout(0.5))
    const context = { training: true, key: key(1) }
    const kept = async (layer: Sequential): Promise<number> =>
      (await layer.forward(tf.ones([1000]), context).data()).filter((v) => v > 0).length
    // Under one key both would drop the same half.
    expect(await kept(once)).toBeGreaterThan(400)
    expect(await kept(twice)).toBeLessThan(350)
  })

  it('an empty Sequential is the identity', () => {
    const x = tf.ones([2])
    const y = new Sequential().forward(x)
    x.dispose()
    expect(Array.from(y.dataSync())).toEqual([1, 1])
  })

  const k = key(0)
  const refusals: [string, () => unknown, RegExp][] = [
    ['Linear size', () => new Linear(0, 3, { key: k }), /inFeatures: expected a whole number >= 1, got 0/],
    [
      'Linear input',
      () => new Linear(2, 3, { key: k }).forward(tf.ones([4, 3])),
      /x: expected shape \[\.\.\., 2\], got \[4, 3\]/,
    ],
    [
      'Linear tensor',
      () => new Linear(2, 3, { key: k }).forward([1, 2] as never),
      /x: expected a tensor, got an array/,
    ],
    [
      'Conv2d kernel',
      () => new Conv2d(1, 1, { key: k, kernelSize: 1.5 }),
      /kernelSize: expected a whole number >= 1, got 1.5/,
    ],
    [
      'Conv2d pair',
      () => new Conv2d(1, 1, { key: k, kernelSize: [3] as never }),
      /kernelSize: expected a number or \[height, width\]/,
    ],
    [
      'Conv2d padding',
      () => new Conv2d(1, 1, { key: k, kernelSize: 3, padding: 'full' as never }),
      /padding: expected a number or/,
    ],
    [
      'Conv2d input',
      () => new Conv2d(2, 1, { key: k, kernelSize: 1 }).forward(tf.ones([1, 4, 4, 3])),
      /x: expected shape \[\?, \?, \?, 2\], got \[1, 4, 4, 3\]/,
    ],
    [
      'Conv2d image',
      () => new Conv2d(1, 1, { key: k, kernelSize: 3 }).forward(tf.ones([1, 2, 4, 1])),
      /x: shape \[1, 2, 4, 1\] is smaller than the kernel's window \[3, 3\]/,
    ],
    [
      'ConvTranspose2d padding',
      () => new ConvTranspose2d(1, 1, { key: k, kernelSize: 2, padding: 2 }),
      /padding: expected less than kernelSize \(2, 2\), got "2, 2"/,
    ],
    [
      'ConvTranspose2d outputPadding',
      () => new ConvTranspose2d(1, 1, { key: k, kernelSize: 2, outputPadding: 1 }),
      /outputPadding: expected less than stride/,
    ],
    [
      'ConvTranspose2d image',
      () => new ConvTranspose2d(1, 1, { key: k, kernelSize: 2, padding: 1 }).forward(tf.ones([1, 1, 1, 1])),
      /leaves nothing of the image along axis 1/,
    ],
    ['Upsample scale', () => new Upsample({ scale: 1.5 }), /scale: expected a whole number >= 1, got 1.5/],
    [
      'Upsample method',
      () => new Upsample({ scale: 2, method: 'cubic' as never }),
      /method: expected "nearest" or "bilinear", got "cubic"/,
    ],
    ['Embedding', () => new Embedding(3, 2, { key: k }).forward(tf.ones([2])), /indices: expected int32, got float32/],
    ['GroupNorm groups', () => new GroupNorm(4, 6), /channels: expected a multiple of groups \(4\), got 6/],
    [
      'GroupNorm rank',
      () => new GroupNorm(2, 6).forward(tf.ones([6])),
      /x: expected shape \[B, \.\.\., C\], got \[6\]/,
    ],
    ['BatchNorm momentum', () => new BatchNorm(2, { momentum: 2 }), /momentum: expected a number from 0 to 1, got 2/],
    [
      'BatchNorm batch',
      () => new BatchNorm(2).forward(tf.ones([1, 2]), { training: true }),
      /x: training needs more than one value per feature, got shape \[1, 2\]/,
    ],
    ['Dropout rate', () => new Dropout(1), /rate: expected a number in \[0, 1\), got 1/],
    [
      'Dropout key',
      () => new Dropout(0.5).forward(tf.ones([2]), { training: true }),
      /context.key: dropout needs a key in training/,
    ],
    ['Sequential', () => new Sequential({} as never), /layers\[0\]: expected a layer, got an object/],
  ]
  it.each(refusals)('refuses bad input: %s', (_name, run, message) => {
    expect(run).toThrow(message)
  })
})

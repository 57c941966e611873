import { key } from '../random/key.ts'
import {
  Activation,
  type ActivationFunction,
  elu,
  gelu,
  geluTanh,
  leakyRelu,
  relu,
  sigmoid,
  silu,
  softplus,
  tanh,
} from './activations.ts'
import { BatchNorm } from './batch-norm.ts'
import { Conv2d } from './conv2d.ts'
import { ConvTranspose2d } from './conv-transpose2d.ts'
import { Dropout } from './dropout.ts'
import { GroupNorm } from './group-norm.ts'
import { LayerNorm } from './layer-norm.ts'
import type { ForwardContext, Layer } from './layer.ts'
import { Linear } from './linear.ts'
import { RmsNorm } from './rms-norm.ts'
import { Sequential } from './sequential.ts'
import { Upsample } from './upsample.ts'

/** A layer and the input that tests try it on. */
export interface LayerCase {
  readonly name: string
  readonly make: () => Layer
  readonly shape: number[]
  readonly context?: ForwardContext
}

const k = key(7)
const image = [2, 5, 4, 3]
export const layerCases: LayerCase[] = [
  { name: 'Linear, rank 1', make: () => new Linear(3, 4, { key: k }), shape: [3] },
  { name: 'Linear, rank 2', make: () => new Linear(3, 4, { key: k }), shape: [5, 3] },
  { name: 'Linear, rank 3, no bias', make: () => new Linear(3, 4, { key: k, bias: false }), shape: [2, 5, 3] },
  { name: 'Conv2d', make: () => new Conv2d(3, 2, { key: k, kernelSize: 3 }), shape: image },
  { name: 'Conv2d, padding 1', make: () => new Conv2d(3, 2, { key: k, kernelSize: 3, padding: 1 }), shape: image },
  {
    name: 'Conv2d, same, stride 2',
    make: () => new Conv2d(3, 2, { key: k, kernelSize: [4, 2], stride: 2, padding: 'same' }),
    shape: image,
  },
  {
    name: 'Conv2d, uneven everything',
    make: () => new Conv2d(3, 2, { key: k, kernelSize: [3, 2], stride: [2, 1], padding: [2, 1], bias: false }),
    shape: image,
  },
  {
    name: 'Conv2d, dilation and stride',
    make: () => new Conv2d(3, 2, { key: k, kernelSize: 3, stride: 2, padding: 2, dilation: [1, 2] }),
    shape: image,
  },
  { name: 'ConvTranspose2d', make: () => new ConvTranspose2d(3, 2, { key: k, kernelSize: 3 }), shape: image },
  {
    name: 'ConvTranspose2d, stride, padding, output padding',
    make: () =>
      new ConvTranspose2d(3, 2, { key: k, kernelSize: [3, 4], stride: [2, 3], padding: [1, 0], outputPadding: [1, 2] }),
    shape: image,
  },
  { name: 'Upsample, nearest', make: () => new Upsample({ scale: [2, 3] }), shape: image },
  { name: 'Upsample, bilinear', make: () => new Upsample({ scale: [3, 2], method: 'bilinear' }), shape: image },
  { name: 'LayerNorm', make: () => new LayerNorm(6), shape: [3, 6] },
  { name: 'LayerNorm, plain', make: () => new LayerNorm(6, { affine: false }), shape: [2, 3, 6] },
  { name: 'RmsNorm', make: () => new RmsNorm(6), shape: [2, 3, 6] },
  { name: 'GroupNorm', make: () => new GroupNorm(2, 6), shape: [2, 3, 2, 6] },
  { name: 'BatchNorm, training', make: () => new BatchNorm(3), shape: image, context: { training: true } },
  { name: 'BatchNorm, evaluation', make: () => new BatchNorm(3), shape: image },
  { name: 'Dropout, training', make: () => new Dropout(0.3), shape: [4, 6], context: { training: true, key: k } },
  {
    name: 'Sequential',
    make: () =>
      new Sequential(
        new Linear(3, 4, { key: k }),
        new Activation(silu),
        new Dropout(0.5),
        new Linear(4, 2, { key: k }),
      ),
    shape: [4, 3],
    context: { training: true, key: k },
  },
]

/** Activation functions and what they should give, in float64. */
export const activationCases: [string, ActivationFunction, (x: number) => number][] = [
  ['relu', relu, (x) => Math.max(x, 0)],
  ['leakyRelu', (x) => leakyRelu(x, { slope: 0.2 }), (x) => (x > 0 ? x : 0.2 * x)],
  ['elu', elu, (x) => (x > 0 ? x : Math.expm1(x))],
  ['sigmoid', sigmoid, (x) => 1 / (1 + Math.exp(-x))],
  ['tanh', tanh, Math.tanh],
  ['softplus', softplus, (x) => Math.log1p(Math.exp(x))],
  ['silu', silu, (x) => x / (1 + Math.exp(-x))],
  ['gelu', gelu, (x) => x * normalDistribution(x)],
  ['geluTanh', geluTanh, (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))],
]

/** By Simpson's rule, in float64. */
function normalDistribution(x: number): number {
  const [n, low] = [4000, -12]
  const h = (x - low) / n
  const density = (t: number): number => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI)
  let sum = density(low) + density(x)
  for (let i = 1; i < n; i++) sum += (i % 2 === 0 ? 2 : 4) * density(low + i * h)
  return (sum * h) / 3
}

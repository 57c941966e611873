import type { Task } from '../../define-task.ts'
import { defineKernelTask } from './define-kernel-task.ts'

const float = 4

const matmul = defineKernelTask({
  operation: 'matmul',
  title: 'Matrix product',
  summary: 'A B in all four transposed forms and in batches, from 8 to 1024 rows.',
  forms: {
    plain: [1024, 512, 64, 32, 16, 8].map((n) => ({ m: n, k: n, n })),
    'a-transposed': [{ m: 512, k: 512, n: 512 }],
    'b-transposed': [{ m: 512, k: 512, n: 512 }],
    'both-transposed': [{ m: 512, k: 512, n: 512 }],
    batched: [
      { batch: 16, m: 256, k: 64, n: 256 },
      { batch: 64, m: 16, k: 16, n: 16 },
    ],
  },
  bound: 'flops',
  floor: (_, { batch = 1, m = 1, k = 1, n = 1 }) => ({ flops: 2 * batch * m * k * n }),
  elsewhere: {
    tensorflow: ['plain', 'a-transposed'],
    webgpu: ['plain', 'a-transposed', 'b-transposed', 'both-transposed', 'batched'],
  },
})

const conv2d = defineKernelTask({
  operation: 'conv2d',
  title: 'Convolution',
  summary: 'Two-dimensional convolution, alone and with the gradients of image and filter.',
  forms: {
    training: [
      { batch: 16, size: 32, inChannels: 64, outChannels: 64, kernel: 3, stride: 1 },
      { batch: 16, size: 32, inChannels: 64, outChannels: 64, kernel: 1, stride: 1 },
      { batch: 16, size: 32, inChannels: 64, outChannels: 64, kernel: 3, stride: 2 },
    ],
    forward: [{ batch: 16, size: 32, inChannels: 64, outChannels: 64, kernel: 3, stride: 1 }],
  },
  bound: 'flops',
  floor: (form, { batch = 1, size = 1, inChannels = 1, outChannels = 1, kernel = 1, stride = 1 }) => ({
    flops:
      (form === 'training' ? 3 : 1) *
      2 *
      batch *
      Math.ceil(size / stride) ** 2 *
      kernel ** 2 *
      inChannels *
      outChannels,
  }),
  elsewhere: { tensorflow: ['training'], webgpu: ['training', 'forward'] },
})

const nearestCode = defineKernelTask({
  operation: 'nearest-code',
  title: 'Nearest code',
  summary:
    'The nearest of K codes for each of N vectors; in PyTorch cdist and argmin, in TensorFlow.js the same in parts.',
  forms: {
    euclidean: [
      { vectors: 4096, dim: 64, codes: 8192 },
      { vectors: 16384, dim: 8, codes: 512 },
      { vectors: 1024, dim: 64, codes: 65536 },
    ],
  },
  bound: 'flops',
  floor: (_, { vectors = 1, dim = 1, codes = 1 }) => ({ flops: 2 * vectors * dim * codes }),
  elsewhere: { tensorflow: ['euclidean'], webgpu: ['euclidean'] },
  stock: (_, { vectors = 1, dim = 1, codes = 1 }) => vectors * dim * codes <= 2 ** 31,
})

const attention = defineKernelTask({
  operation: 'attention',
  title: 'Attention',
  summary: 'Causal attention, alone and with the gradients of queries, keys and values; in PyTorch its own kernel.',
  forms: {
    forward: [
      { batch: 4, heads: 8, length: 1024, dim: 64 },
      { batch: 1, heads: 1, length: 16384, dim: 64 },
    ],
    training: [{ batch: 4, heads: 8, length: 1024, dim: 64 }],
  },
  bound: 'flops',
  // Two products forward and five backward, of which the mask leaves half.
  floor: (form, { batch = 1, heads = 1, length = 1, dim = 1 }) => ({
    flops: (form === 'training' ? 7 : 2) * batch * heads * length ** 2 * dim,
  }),
  elsewhere: { tensorflow: ['forward', 'training'], webgpu: ['forward', 'training'] },
  stock: (_, { length = 1 }) => length <= 4096,
})

const softmax = defineKernelTask({
  operation: 'softmax',
  title: 'Softmax',
  summary: 'Softmax of rows, alone and with its gradient.',
  forms: { forward: [{ rows: 4096, columns: 1024 }], training: [{ rows: 4096, columns: 1024 }] },
  bound: 'bytes',
  // Forward x to y; backward y and dy to dx.
  floor: (form, { rows = 1, columns = 1 }) => ({ bytes: (form === 'training' ? 5 : 2) * rows * columns * float }),
  elsewhere: { webgpu: ['forward', 'training'] },
})

const norm = defineKernelTask({
  operation: 'norm',
  title: 'Layer, RMS and group norm',
  summary: 'Standardising with a learned scale, alone and with the gradients of input and parameters.',
  forms: {
    'layer-training': [{ rows: 4096, columns: 512 }],
    'layer-forward': [{ rows: 4096, columns: 512 }],
    'rms-training': [{ rows: 4096, columns: 512 }],
    'group-training': [{ batch: 16, size: 32, channels: 64, groups: 8 }],
  },
  bound: 'bytes',
  // Forward x to y; backward x and dy to dx.
  floor: (form, { rows = 1, columns = 1, batch = 1, size = 1, channels = 1 }) => ({
    bytes: (form.endsWith('training') ? 5 : 2) * rows * columns * batch * size ** 2 * channels * float,
  }),
  elsewhere: { webgpu: ['layer-training', 'layer-forward', 'rms-training', 'group-training'] },
})

const lookup = defineKernelTask({
  operation: 'lookup',
  title: 'Lookup and its gradient',
  summary: 'Picking N codes by index, and the gradient of the codebook, a sum over the picks of each code.',
  forms: { training: [{ vectors: 16384, dim: 64, codes: 8192 }] },
  bound: 'bytes',
  // Forward codes to rows; backward rows to the codebook's gradient.
  floor: (_, { vectors = 1, dim = 1, codes = 1 }) => ({ bytes: (3 * vectors + codes) * dim * float }),
  elsewhere: { webgpu: ['training'] },
})

const adamw = defineKernelTask({
  operation: 'adamw',
  title: 'AdamW',
  summary: 'One step of AdamW, on one large parameter and on many small ones; in PyTorch its fused form.',
  forms: {
    step: [
      { tensors: 1, elements: 2 ** 22 },
      { tensors: 64, elements: 4096 },
    ],
  },
  bound: 'bytes',
  // Reads parameter, gradient and both moments, writes all but the gradient.
  floor: (_, { tensors = 1, elements = 1 }) => ({ bytes: 7 * tensors * elements * float }),
  elsewhere: { webgpu: ['step'] },
})

const einsum = defineKernelTask({
  operation: 'einsum',
  title: 'Einsum',
  summary: 'The products of attention: bhid,bhjd->bhij (scores) and bnd,hde->bhne (heads).',
  forms: {
    scores: [{ batch: 4, heads: 8, length: 256, dim: 64 }],
    heads: [{ batch: 4, heads: 8, length: 256, dim: 64, width: 512 }],
  },
  bound: 'flops',
  floor: (form, { batch = 1, heads = 1, length = 1, dim = 1, width = 1 }) => ({
    flops: 2 * batch * heads * length * dim * (form === 'scores' ? length : width),
  }),
  elsewhere: { cpu: ['scores'], webgpu: ['scores', 'heads'] },
})

const pixels = 784
const hidden = 128
const tokens = 8
const tokenDim = 8

const digitsStep = defineKernelTask({
  operation: 'digits-step',
  title: 'Training step of the digits autoencoder',
  summary: 'Forward, gradients and AdamW of a VQ autoencoder of digits; the same model in PyTorch.',
  forms: { step: [{ batchSize: 64, codebookSize: 512 }] },
  bound: 'flops',
  // Encoder and decoder mirror each other: each has both products once forward and twice backward.
  floor: (_, { batchSize = 1, codebookSize = 1 }) => ({
    flops: 2 * batchSize * (2 * 3 * (pixels * hidden + hidden * tokens * tokenDim) + tokens * tokenDim * codebookSize),
  }),
  elsewhere: { tensorflow: ['step'], webgpu: ['step'], cpu: ['step'] },
  sources: ['packages/vq/src', 'benchmarks/src/tasks/core/training-step', 'benchmarks/src/tasks/vq/digits'],
})

/** The kernels that are measured, by task. */
export const kernelTasks: readonly Task[] = [
  matmul,
  conv2d,
  nearestCode,
  attention,
  softmax,
  norm,
  lookup,
  adamw,
  einsum,
  digitsStep,
]

// What the kernel tests share.
import * as tf from '@tensorflow/tfjs-core'
import { describe, expect, it } from 'vitest'
import type { BackendName, UseBackendOptions } from '../backends/device.ts'
import { readRecord } from '../backends/tensorflow-record.ts'
import { useBackend } from '../backends/use-backend.ts'
import type { WasmBackend } from './pack.ts'

/** A backend with its options, and the name of the case in a report. */
export interface DeviceCase {
  readonly title: string
  readonly backend: BackendName
  readonly options: UseBackendOptions
}

/** Every variant of the kernels that runs without a graphics card; native TensorFlow where it has been built. */
export const deviceCases: DeviceCase[] = [
  { title: 'cpu', backend: 'cpu', options: {} },
  { title: 'wasm, relaxed SIMD, 2 threads', backend: 'wasm', options: { simd: 'relaxed', threads: 2 } },
  { title: 'wasm, relaxed SIMD, 1 thread', backend: 'wasm', options: { simd: 'relaxed', threads: 1 } },
  { title: 'wasm, plain SIMD, 2 threads', backend: 'wasm', options: { simd: 'simd', threads: 2 } },
  { title: 'wasm, no SIMD', backend: 'wasm', options: { simd: 'none' } },
  { title: 'wasm, stock kernels', backend: 'wasm', options: { kernels: 'stock' } },
  ...(tensorflowIsBuilt() ? [{ title: 'tensorflow', backend: 'tensorflow', options: {} } as const] : []),
]

/** Whether `x-core setup-tensorflow` has been run; if not, a skipped test says so in every file that has the cases. */
function tensorflowIsBuilt(): boolean {
  if (readRecord('tensorflow') !== undefined) return true
  describe.skip('on tensorflow', () => {
    it('has not been built here: pnpm run setup-tensorflow', () => {})
  })
  return false
}

/** Makes a case current. */
export async function useCase({ backend, options }: DeviceCase): Promise<void> {
  await useBackend(backend, options)
}

/** Asserts that numbers agree up to float32 rounding, relative to the size of the largest. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length)
  const size = Math.max(1, ...Array.from(expected, (x) => (Number.isFinite(x) ? Math.abs(x) : 0)))
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i])) continue // NaN and infinities
    if (!(Math.abs(actual[i]! - expected[i]!) <= tolerance * size))
      throw new Error(`element ${i}: expected ${expected[i]}, got ${actual[i]}`)
  }
}

/** Pseudo-random numbers in [-1, 1), the same for a seed, rounded to float32. */
export function numbers(count: number, seed = 1): Float32Array {
  let state = seed * 2654435761
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) | 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 31 - 1
  })
}

/** Runs `f` many times: neither tensors nor the WebAssembly heap may grow. */
export function expectNoLeaks(f: () => tf.Tensor[] | void, repetitions = 2000): void {
  const once = (): void => tf.dispose(f() ?? [])
  for (let i = 0; i < 20; i++) once()
  const { numTensors, numDataBuffers } = tf.memory()
  const heap = heapTop()
  for (let i = 0; i < repetitions; i++) once()
  expect(tf.memory().numTensors).toBe(numTensors)
  expect(tf.memory().numDataBuffers).toBe(numDataBuffers)
  // The allocator may place a block elsewhere, but no further than a few of them.
  expect(heapTop() - heap).toBeLessThan(1 << 16)
}

/** An address that grows when blocks of the WebAssembly heap are not given back; 0 on other backends. */
function heapTop(): number {
  if (tf.getBackend() !== 'wasm') return 0
  const { wasm } = tf.backend() as WasmBackend
  const block = wasm._malloc(1 << 20)
  wasm._free(block)
  return block
}

/** The gradient of a scalar function of numbers, by central differences. */
export function finiteDifferences(f: (x: Float32Array) => number, x: Float32Array, step = 1e-2): number[] {
  return Array.from(x, (value, i) => {
    const at = (shift: number): number => f(x.map((other, j) => (j === i ? value + shift : other)))
    return (at(step) - at(-step)) / (2 * step)
  })
}

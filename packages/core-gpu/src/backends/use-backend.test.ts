import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { restoreKernels } from '../kernels/registry.ts'
import { BackendError } from './backend-error.ts'
import type { BackendName } from './device.ts'
import { useBackend } from './use-backend.ts'
import { isSoftware } from './webgpu.ts'

const folder = mkdtempSync(join(tmpdir(), 'backends-'))
const empty = join(folder, 'empty')
mkdirSync(empty)
afterAll(() => rmSync(folder, { recursive: true }))

/** An installation of one package whose main file is `code`. */
function install(name: string, code: string, fields: object = {}): string {
  const root = mkdtempSync(join(folder, 'project-'))
  const home = join(root, 'node_modules', name)
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name, version: '4.22.0', main: 'index.js', ...fields }))
  writeFileSync(join(home, 'index.js'), code)
  return root
}

/** Stands for tfjs-node: the cpu backend under TensorFlow's name. */
function fakeTensorFlow(name: string, usesGpu: boolean): string {
  const require = createRequire(import.meta.url)
  const [core, cpu] = ['tfjs-core', 'tfjs-backend-cpu'].map((part) =>
    JSON.stringify(require.resolve(`@tensorflow/${part}`)),
  )
  return install(
    name,
    `const util = require('node:util')
     if (!util.isNullOrUndefined(null) || util.isNullOrUndefined(0)) throw new Error('no isNullOrUndefined')
     const tf = require(${core}), { MathBackendCPU } = require(${cpu})
     class Backend extends MathBackendCPU { binding = { TF_Version: '2.9.1' }; isUsingGpuDevice = ${usesGpu} }
     tf.copyRegisteredKernels('cpu', 'tensorflow')
     tf.registerBackend('tensorflow', () => new Backend())`,
  )
}

async function failure(name: BackendName | 'auto', options?: Parameters<typeof useBackend>[1]): Promise<BackendError> {
  try {
    await useBackend(name, options)
  } catch (error) {
    expect(error).toBeInstanceOf(BackendError)
    return error as BackendError
  }
  throw new Error(`${name} was expected to be absent`)
}

function trains(): void {
  tf.tidy(() => {
    const gradient = tf.grad((x) => tf.sum(tf.square(tf.matMul(x as tf.Tensor2D, tf.ones([2, 2])))))(tf.ones([1, 2]))
    expect(Array.from(gradient.dataSync())).toEqual([8, 8])
  })
}

describe('useBackend', () => {
  it('switches back and forth, with gradients everywhere', async () => {
    for (const name of ['cpu', 'wasm', 'cpu', 'wasm', 'wasm', 'cpu'] as const) {
      const device = await useBackend(name)
      expect([device.name, tf.getBackend()]).toEqual([name, name])
      trains()
    }
  })

  it('switches between own and stock kernels', async () => {
    for (const kernels of ['own', 'stock', 'own', 'stock'] as const) {
      const device = await useBackend('wasm', { kernels })
      expect(device.describe().kernels).toBe(kernels)
      expect(tf.getKernel('XNearestCode', 'wasm') !== undefined).toBe(kernels === 'own')
      trains()
    }
  })

  it('moves tensors along', async () => {
    await useBackend('wasm')
    const x = tf.tensor1d([1, 2, 3])
    await useBackend('cpu')
    const y = tf.add(x, 1)
    await useBackend('wasm')
    expect(Array.from(await tf.mul(x, y).data())).toEqual([2, 6, 12])
    tf.dispose([x, y])
  })

  it('describes where a result was made, in plain JSON', async () => {
    const description = (await useBackend('wasm', { simd: 'simd', threads: 1 })).describe()
    expect(JSON.parse(JSON.stringify(description))).toEqual(description)
    expect(description).toEqual({
      backend: 'wasm',
      runtime: `node ${process.versions.node}`,
      versions: { '@tensorflow/tfjs-core': '4.22.0', '@tensorflow/tfjs-backend-wasm': '4.22.0' },
      threads: 1,
      simd: 'simd',
      adapter: null,
      kernels: 'own',
    })
    expect((await useBackend('wasm', { simd: 'none' })).describe().simd).toBe('none')
    expect((await useBackend('cpu')).describe()).toMatchObject({ backend: 'cpu', simd: null, threads: 1 })
  })

  it('takes the best that is there, and says what it passed over', async () => {
    const device = await useBackend('auto', { from: empty })
    expect(device.name).toBe('wasm')
    expect(device.skipped.map(({ backend }) => backend)).toEqual(['tensorflow-gpu', 'tensorflow', 'webgpu'])
    expect(device.skipped.every(({ reason, install: hint }) => reason !== '' && hint.includes('npm install'))).toBe(
      true,
    )
  })

  it.each(['tensorflow-gpu', 'tensorflow', 'webgpu'] as const)(
    'says how to get %s where it is absent',
    async (name) => {
      await useBackend('cpu')
      const error = await failure(name, { from: empty })
      expect(error.attempts).toHaveLength(1)
      expect(error.attempts[0]).toMatchObject({ backend: name, reason: expect.stringContaining('is not installed') })
      expect(error.message).toContain(name)
      expect(error.message).toContain('npm install')
      expect(tf.getBackend()).toBe('cpu')
      trains()
    },
  )

  it('refuses names and options that do not exist', async () => {
    await expect(useBackend('gpu' as BackendName)).rejects.toThrow(RangeError)
    await expect(useBackend('gpu' as BackendName)).rejects.toThrow(
      'name: expected one of auto, tensorflow-gpu, tensorflow, webgpu, wasm, cpu, got "gpu"',
    )
    await expect(useBackend('cpu', { kernels: 'fast' as 'own' })).rejects.toThrow(/options\.kernels: .*"fast"/)
    await expect(useBackend('cpu', { simd: 'avx' as 'simd' })).rejects.toThrow(/options\.simd: .*"avx"/)
  })
})

describe('TensorFlow packages', () => {
  afterEach(async () => {
    await useBackend('cpu')
    restoreKernels('tensorflow')
    if (tf.findBackendFactory('tensorflow') !== null) tf.removeBackend('tensorflow')
    for (const { kernelName } of tf.getKernelsForBackend('tensorflow')) tf.unregisterKernel(kernelName, 'tensorflow')
  })

  it('loads tfjs-node, with what it needs from older versions of Node', async () => {
    const device = await useBackend('tensorflow', { from: fakeTensorFlow('@tensorflow/tfjs-node', false) })
    expect(device.describe()).toMatchObject({
      backend: 'tensorflow',
      versions: { '@tensorflow/tfjs-node': '4.22.0', tensorflow: '2.9.1' },
    })
    expect(tf.getBackend()).toBe('tensorflow')
    trains()
  })

  it('prefers tfjs-node-gpu when it finds a GPU', async () => {
    const device = await useBackend('auto', { from: fakeTensorFlow('@tensorflow/tfjs-node-gpu', true) })
    expect(device.name).toBe('tensorflow-gpu')
    expect(device.describe().adapter).toBe('CUDA')
    const { attempts } = await failure('tensorflow')
    expect(attempts[0]!.reason).toContain('GPU build')
  })

  it('does not call the processor a GPU', async () => {
    const { attempts } = await failure('tensorflow-gpu', { from: fakeTensorFlow('@tensorflow/tfjs-node-gpu', false) })
    expect(attempts[0]!.reason).toBe('TensorFlow found no GPU')
    expect(tf.getBackend()).toBe('cpu')
  })

  it('has the threads that were asked for first, and says so when others are wanted', async () => {
    const from = fakeTensorFlow('@tensorflow/tfjs-node', false)
    const { threads } = (await useBackend('tensorflow', { from })).describe()
    expect(threads).toBe(Number(process.env['TF_NUM_INTRAOP_THREADS']))
    const { attempts } = await failure('tensorflow', { from, threads: threads! + 1 })
    expect(attempts[0]!.reason).toMatch(/TensorFlow has \d+ threads in this process/)
    await expect(useBackend('tensorflow', { threads: 0 })).rejects.toThrow(/options\.threads: .* >= 1, got 0/)
  })

  it('passes on why a package does not load', async () => {
    const from = install('@tensorflow/tfjs-node', `throw new Error('The native addon is missing\\nat somewhere')`)
    const { attempts } = await failure('tensorflow', { from })
    expect(attempts[0]!.reason).toBe('The native addon is missing')
  })
})

describe('webgpu', () => {
  afterEach(() => {
    Reflect.deleteProperty(globalThis.navigator, 'gpu')
  })

  const fakeWebgpu = (adapter: string): string =>
    install(
      'webgpu',
      `export const globals = {}; export const create = () => ({ requestAdapter: async () => (${adapter}) })`,
      { type: 'module' },
    )

  it('refuses a missing adapter with the reason', async () => {
    const { attempts } = await failure('webgpu', { from: fakeWebgpu('null') })
    expect(attempts[0]!.reason).toMatch(/no adapter/)
  })

  it('is passed over by auto when it renders in software', async () => {
    const from = fakeWebgpu(`{ info: { vendor: 'google', architecture: 'swiftshader' } }`)
    const device = await useBackend('auto', { from })
    expect(device.name).toBe('wasm')
    expect(device.skipped.find(({ backend }) => backend === 'webgpu')!.reason).toMatch(/software .*swiftshader/)
  })

  it.each([
    [{ architecture: 'swiftshader' }, true],
    [{ description: 'llvmpipe (LLVM 15.0.6, 256 bits)' }, true],
    [{ device: 'lavapipe' }, true],
    [{ vendor: 'amd', isFallbackAdapter: true }, true],
    [{ vendor: 'nvidia', architecture: 'ampere', device: 'RTX A4000' }, false],
    [{}, false],
  ])('knows a software adapter: %j', (info, software) => {
    expect(isSoftware(info)).toBe(software)
  })
})

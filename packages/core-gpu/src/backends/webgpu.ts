import * as tf from '@tensorflow/tfjs-core'
import { installWebgpuKernels } from '../kernels/install-webgpu.ts'
import type { BackendLoader } from './device.ts'
import { importPackage, isNode } from './runtime.ts'

/** The part of WebGPU's adapter information that is read here. */
export interface AdapterInfo {
  readonly vendor?: string
  readonly architecture?: string
  readonly device?: string
  readonly description?: string
  readonly isFallbackAdapter?: boolean
}

interface Gpu {
  requestAdapter(options: object): Promise<{ readonly info?: AdapterInfo } | null>
}

/** The graphics card: the browser's own WebGPU, or in Node the package `webgpu`. */
export const webgpu: BackendLoader = {
  install: 'in Node: npm install webgpu, and a Vulkan, Metal or Direct3D 12 driver; else a browser with WebGPU',
  async open({ kernels = 'own', from }, automatic) {
    const gpu = await findGpu(from)
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
    if (adapter === null) throw new Error('WebGPU found no adapter: no graphics driver that it can use')
    const info = adapter.info ?? {}
    if (automatic && isSoftware(info)) {
      throw new Error(
        `the adapter is a software renderer (${describeAdapter(info)}), slower than wasm; ask for it by name`,
      )
    }
    // Only now: this package registers its backend at import, and only where WebGPU is.
    const { version_webgpu: version } = (await import('@tensorflow/tfjs-backend-webgpu')) as { version_webgpu?: string }
    if (tf.findBackendFactory('webgpu') === null) throw new Error('its package was loaded before WebGPU was there')
    installWebgpuKernels(kernels)
    if (!(await tf.setBackend('webgpu'))) throw new Error(`the adapter gave no device (${describeAdapter(info)})`)
    return {
      versions: {
        '@tensorflow/tfjs-core': tf.version_core,
        '@tensorflow/tfjs-backend-webgpu': version ?? tf.version_core,
      },
      threads: null,
      simd: null,
      adapter: describeAdapter(info),
      kernels,
    }
  },
}

/** Whether the adapter computes on the processor. */
export function isSoftware(info: AdapterInfo): boolean {
  return info.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|software/i.test(describeAdapter(info))
}

function describeAdapter({ vendor, architecture, device, description }: AdapterInfo): string {
  const parts = [vendor, architecture, device, description].filter((part) => part !== undefined && part !== '')
  return parts.length === 0 ? 'unnamed adapter' : [...new Set(parts)].join(' / ')
}

async function findGpu(from: string | undefined): Promise<Gpu> {
  const existing = (globalThis.navigator as { gpu?: Gpu } | undefined)?.gpu
  if (existing !== undefined) return existing
  if (!isNode) throw new Error('this browser has no WebGPU')
  const { create, globals } = (await importPackage('webgpu', from)) as { create(flags: string[]): Gpu; globals: object }
  Object.assign(globalThis, globals)
  const gpu = create([])
  if (globalThis.navigator === undefined)
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true })
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true })
  return gpu
}

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { TaskContext } from '../../define-task.ts'
import { exampleResult } from '../../example-result.fixture.ts'
import { kernelTasks } from './kernels.ts'
import { kernelMetrics } from './measure-kernel.ts'

const matmul = kernelTasks.find(({ id }) => id === 'kernels/matmul')!
const context = (peers?: string[]): TaskContext => ({
  run: exampleResult({
    task: 'kernels/matmul',
    family: 'kernels',
    method: 'plain',
    params: { m: 8, k: 8, n: 8 },
    backend: 'wasm',
    quick: true,
    ...(peers && { peers }),
  }).run,
  signal: new AbortController().signal,
  progress: () => {},
  artifact: () => Promise.reject(new Error('no pictures here')),
})

describe('kernelMetrics', () => {
  const kernel = { work: 2e9, bound: 'flops' } as const

  it('forms rates, shares and ratios round by round', () => {
    const samples = { own: [10, 20], peak: [5, 4], stock: [30, 30], torch: [5, 40] }
    const descriptions = { own: { peakFlops: 2e9, memory: 3e6 }, stock: { memory: 9e6 }, torch: { memory: 6e6 } }
    const { metrics, facts } = kernelMetrics(kernel, samples, descriptions)
    expect(metrics).toEqual({
      own: [10, 20],
      stock: [30, 30],
      torch: [5, 40],
      rate: [200, 100],
      share: [0.4, 0.2],
      speedup: [3, 1.5],
      torchRatio: [2, 0.5],
      memory: [3],
      stockMemory: [9],
      torchMemory: [6],
      memoryRatio: [0.5],
    })
    expect(facts).toMatchObject({ rounds: 2, bestRate: 500, speedupMedian: 2.25, speedupLow: 1.5, speedupHigh: 3 })
    expect(facts).toMatchObject({ torchRatioMedian: 1.25, torchRatioLow: 0.5, torchRatioHigh: 2 })
  })

  it('measures by bytes against the rate of copying', () => {
    const byBytes = kernelMetrics(
      { work: 4e6, bound: 'bytes' },
      { own: [2], copy: [8] },
      { own: { copiedBytes: 64e6 } },
    )
    expect(byBytes.metrics).toEqual({ own: [2], rate: [2], share: [0.25] })
  })

  it('leaves out what was not measured', () => {
    const alone = kernelMetrics(kernel, { own: [10], peak: [10] }, { own: { peakFlops: 2e9, memory: null } })
    expect(Object.keys(alone.metrics)).toEqual(['own', 'rate', 'share'])
    const noMemory = kernelMetrics(kernel, { own: [1], torch: [1] }, { own: { memory: 1e6 }, torch: { memory: 0 } })
    expect(noMemory.metrics.memoryRatio).toBeUndefined()
  })
})

describe('a run', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'peer-'))
    // Speaks a peer's protocol without being one.
    const script = `#!${process.execPath}
      const { operation, method, params, threads, device } = JSON.parse(process.argv[3])
      console.log(JSON.stringify({ ready: { version: '0', operation, method, params, threads, device, memory: 5e5 } }))
      process.stdin.on('data', () => console.log(JSON.stringify({ ms: 1000 })))`
    writeFileSync(join(folder, 'peer.cjs'), script)
    chmodSync(join(folder, 'peer.cjs'), 0o755)
  })
  afterAll(() => rmSync(folder, { recursive: true }))
  afterEach(() => vi.unstubAllEnvs())

  it('lets own kernels, stock ones and a peer take turns', async () => {
    vi.stubEnv('BENCH_PEER_PYTHON', join(folder, 'peer.cjs'))
    const { metrics, device } = await matmul.run(context(['torch']))
    expect(metrics.torch).toEqual([1000, 1000, 1000])
    expect(metrics.torchRatio).toHaveLength(3)
    expect(metrics.torchMemory).toEqual([0.5])
    expect(Object.keys(metrics).filter((name) => matmul.metrics[name] === undefined)).toEqual([])
    expect(device).toMatchObject({ backend: 'wasm', kernels: 'own', rivals: { stock: { kernels: 'stock' } } })
    const told = { operation: 'matmul', method: 'plain', params: { m: 8, k: 8, n: 8 }, device: 'cpu' }
    expect(device.rivals).toHaveProperty('torch', expect.objectContaining(told))
  })

  it('is skipped when its peer is not there', async () => {
    vi.stubEnv('BENCH_DIR', folder)
    vi.stubEnv('BENCH_PEER_PYTHON', undefined)
    await expect(matmul.run(context(['torch']))).rejects.toMatchObject({
      name: 'SkippedError',
      message: 'torch is not set up here',
    })
  })
})

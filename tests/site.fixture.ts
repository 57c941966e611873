import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ClaimsFile, Curve, Environment, OkResult, Result, RunSpec } from '../benchmarks/src/result.ts'
import { runKey } from '../benchmarks/src/run-key.ts'
import { artifactFile, writeResult } from '../benchmarks/src/store.ts'

// Made-up figures for the pages' tests: they live in a temporary folder only.

const digits = ['vq', 'vq-ema', 'rotation', 'simvq', 'fsq']
const steps = Array.from({ length: 240 }, (_, index) => index * 10)
const onePixel = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgaPj/HwAEAQJ/mQiZdQAAAABJRU5ErkJggg==',
  'base64',
)

function environment(machineId: string, cpu: string): Environment {
  return {
    machine: { cpu, cores: 4, memoryGiB: 16, os: 'linux 6.1', arch: 'x64' },
    machineId,
    runtime: 'node 24.21.0',
    device: { name: 'wasm', simd: 'relaxed', threads: 1 },
    packages: { '@tensorflow/tfjs-core': '4.22.0', '@x/vq': '0.1.0' },
    commit: '0123456789abcdef0123456789abcdef01234567',
    dirty: false,
    concurrency: 2,
    load: 0.4,
  }
}

const machineA = environment('aaaa1111', 'Example CPU A')
const machineB = environment('bbbb2222', 'Example CPU B')

function spec(task: string, method: string, seed: number, more: Partial<RunSpec> = {}): RunSpec {
  const params: RunSpec['params'] =
    method === 'fsq' ? { levels: [8, 8, 8], input: 'normalised' } : { codebookSize: 512 }
  return { task, family: 'vq', method, params, seed, backend: 'wasm', quick: false, version: 'f00dfeed', ...more }
}

function base(
  run: RunSpec,
  where: Environment,
): Pick<Result, 'format' | 'key' | 'run' | 'environment' | 'startedAt' | 'seconds'> {
  const startedAt = '2026-01-02T03:04:05.000Z'
  return { format: 1, key: runKey(run, where.machineId), run, environment: where, startedAt, seconds: 12.5 }
}

function curve(title: string, unit: string, value: (step: number) => number): Curve {
  return { title, unit, steps, values: steps.map(value) }
}

function digitsResult(method: string, seed: number, where: Environment, more: Partial<RunSpec> = {}): OkResult {
  const rank = digits.indexOf(method)
  const usage = [0.21, 0.64, 0.83, 0.99, 0.95][rank]! - 0.004 * seed
  const error = [0.0214, 0.0171, 0.0162, 0.0143, 0.0156][rank]! * (1 + 0.01 * seed)
  const wave = (step: number): number => 1 + 0.04 * Math.sin(step / (37 + 11 * rank) + seed)
  return {
    ...base(spec('vq/digits', method, seed, more), where),
    status: 'ok',
    metrics: {
      usage: { title: 'codes used', unit: 'fraction', better: 'higher', samples: [usage] },
      perplexity: { title: 'perplexity', unit: 'codes', better: 'higher', samples: [usage * 800] },
      reconstruction: { title: 'reconstruction', unit: 'mse', better: 'lower', samples: [error] },
      stepTime: {
        title: 'training step',
        unit: 'ms',
        better: 'lower',
        samples: [21, 22, 23, 24, 40].map((time) => time + rank + 0.2 * seed),
      },
    },
    curves: {
      reconstruction: curve(
        'reconstruction of held-out digits',
        'mse',
        (step) => (error + 0.2 * Math.exp(-step / 250)) * wave(step),
      ),
      usage: curve('codes used on held-out digits', 'fraction', (step) =>
        Math.min(1, usage * (1 - 0.8 * Math.exp(-step / 400)) * wave(step)),
      ),
      perplexity: curve('perplexity', 'codes', (step) => 800 * usage * (1 - 0.9 * Math.exp(-step / 500)) * wave(step)),
    },
    artifacts: [
      {
        title: 'Held-out digits, and below them their reconstructions',
        file: `${method}-s${seed}-digits.png`,
        kind: 'image',
        private: true,
      },
      {
        title: 'Patterns, and below them their reconstructions',
        file: `${method}-s${seed}-patterns.png`,
        kind: 'image',
        private: false,
      },
    ],
    facts: { data: 'patterns', heldOut: 2000 },
  }
}

function cloudResult(method: string, mean: number, bias: boolean | null, seed: number): OkResult {
  const params = { mean, codebookSize: 256, ...(bias === null ? {} : { bias }) }
  const usage = (method === 'simvq' && bias === true ? 0.97 : 0.9 - 0.25 * mean) - 0.01 * seed
  return {
    ...base(spec('vq/codebook', method, seed, { params }), machineA),
    status: 'ok',
    metrics: { usage: { title: 'codes used', unit: 'fraction', better: 'higher', samples: [usage] } },
    curves: { loss: curve('loss in training', 'mse', (step) => 10 * Math.exp(-step / 150) + 0.02) },
    artifacts: [],
    facts: {},
  }
}

function kernelResult(method: string, rows: number): OkResult {
  const run: Partial<RunSpec> = { family: 'kernels', params: { m: rows, k: rows, n: rows }, peers: ['torch'] }
  return {
    ...base(spec('kernels/matmul', method, 0, run), machineA),
    status: 'ok',
    metrics: {
      own: { title: 'ours', unit: 'ms', better: 'lower', samples: [3, 4] },
      rate: { title: 'rate', unit: 'GFLOP/s', better: 'higher', samples: [44, 55] },
      share: { title: 'share of the largest matrix product', unit: 'fraction', better: 'higher', samples: [0.8, 0.9] },
      speedup: { title: 'TensorFlow.js / ours', unit: 'ratio', better: 'higher', samples: [15, 17] },
      torchRatio: { title: 'ours / PyTorch', unit: 'ratio', better: 'lower', samples: [1.5, 2.5] },
    },
    curves: {},
    artifacts: [],
    facts: {
      speedupMedian: 16,
      speedupLow: 15,
      speedupHigh: 17,
      torchRatioMedian: 2,
      torchRatioLow: 1.5,
      torchRatioHigh: 2.5,
    },
  }
}

/** Writes results of two machines in every status, and the verdicts on two claims. */
export function writeFixture(benchDirectory: string): void {
  const seeds = [0, 1, 2]
  const without = spec('vq/digits', 'rotation', 0, { backend: 'webgpu' })
  const broken = spec('vq/digits', 'vq', 3)
  const results: Result[] = [
    ...digits.flatMap((method) => seeds.map((seed) => digitsResult(method, seed, machineA))),
    ...['vq', 'simvq'].map((method) => digitsResult(method, 0, machineB)),
    digitsResult('simvq', 7, machineA, { quick: true }),
    ...[0, 1, 3].flatMap((mean) =>
      seeds.flatMap((seed) => [
        cloudResult('vq', mean, null, seed),
        cloudResult('simvq', mean, true, seed),
        cloudResult('simvq', mean, false, seed),
      ]),
    ),
    kernelResult('plain', 1024),
    kernelResult('a-transposed', 512),
    { ...digitsResult('vq', 0, machineA), ...base(spec('vq/retired', 'vq', 0), machineA) },
    { ...base(without, machineA), status: 'skipped', reason: 'no WebGPU adapter on this machine' },
    { ...base(broken, machineA), status: 'failed', error: 'loss became NaN at step 12\n    at train' },
  ]
  for (const result of results) {
    const file = writeResult(join(benchDirectory, 'results', result.environment.machineId), result)
    if (result.status !== 'ok') continue
    for (const artifact of result.artifacts) {
      // Only some machines keep private pictures.
      if (artifact.private && result.run.method !== 'simvq') continue
      const place = artifactFile(file, artifact)
      mkdirSync(dirname(place), { recursive: true })
      writeFileSync(place, onePixel)
    }
  }
  const measured = digitsResult('simvq', 0, machineA)
  const claims: ClaimsFile = {
    format: 1,
    machineId: machineA.machineId,
    verdicts: [
      {
        id: 'example-holds',
        claim: 'SimVQ uses nearly the whole codebook.',
        source: { title: 'One linear layer', arxiv: '2411.02038', where: 'Table 1' },
        measured: 'codes used on held-out patterns, three seeds',
        figures: { 'SimVQ, codes used': [0.99, 0.986, 0.982], 'VQ, codes used': [0.21, 0.206, 0.202] },
        condition: 'SimVQ above 0.95 on every seed',
        verdict: 'holds',
        results: [measured.key],
      },
      {
        id: 'example-open',
        claim: 'FSQ equals VQ at 1000 codes.',
        source: { title: 'FSQ', arxiv: '2309.15505', where: 'Section 5' },
        measured: 'nothing yet',
        figures: {},
        condition: 'errors within 5 %',
        verdict: 'not measured',
        results: [],
      },
    ],
  }
  writeFileSync(join(benchDirectory, 'results', machineA.machineId, 'claims.json'), JSON.stringify(claims))
}

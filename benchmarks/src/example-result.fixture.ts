import type { OkResult, Result, RunSpec } from './result.ts'
import { runKey } from './run-key.ts'

const machineId = 'm0000000'

/** A valid result to vary in tests. */
export function exampleResult(run: Partial<RunSpec> = {}, rest: Partial<OkResult> = {}): OkResult {
  const spec: RunSpec = {
    task: 'test/example',
    family: 'test',
    method: 'a',
    params: {},
    seed: 0,
    backend: 'none',
    quick: false,
    version: 'v1',
    ...run,
  }
  return {
    format: 1,
    key: runKey(spec, machineId),
    run: spec,
    environment: {
      machine: { cpu: 'a cpu', cores: 2, memoryGiB: 4, os: 'an os', arch: 'x64' },
      machineId,
      runtime: 'Node.js 24',
      device: {},
      packages: {},
      commit: null,
      dirty: false,
      concurrency: 1,
      load: 0,
    },
    startedAt: '2026-01-01T00:00:00.000Z',
    seconds: 1,
    status: 'ok',
    metrics: { value: { title: 'value', unit: 'fraction', better: 'higher', samples: [0.5] } },
    curves: {},
    artifacts: [],
    facts: {},
    ...rest,
  }
}

/** The same run, without figures. */
export function failedResult(run: Partial<RunSpec> = {}): Result {
  const { format, key, run: spec, environment, startedAt, seconds } = exampleResult(run)
  return { format, key, run: spec, environment, startedAt, seconds, status: 'failed', error: 'broken\nat line 1' }
}
